import { levels } from 'pino';
import type { LogSnapshot } from '../snapshot.js';
import type { JsonLines } from './json-lines.js';

/** Takes whole lines. */
export interface LineSink {
  write(line: string): void;
}

/**
 * Where a worker's access lines go: into its log, or to the file that is for them alone. A line of the
 * combined format is there for HTTP requests only, so with that format all else stays in the log.
 */
export class AccessLog {
  /** For objects, whatever they are about; nothing where nobody wants to hear of them. */
  json: JsonLines | undefined;
  /** For lines of requests in the combined format; nothing where requests are objects, too. */
  combined: LineSink | undefined;

  /**
   * @param log of the worker
   * @param fileLog the same for the file
   * @param file whole lines for it
   */
  constructor(
    private readonly log: JsonLines,
    private readonly fileLog: JsonLines = log,
    private readonly file?: LineSink,
  ) {
    this.json = log;
  }

  /** There are lines of some kind: what they tell is worth noting. */
  get isHeard(): boolean {
    return this.json !== undefined || this.combined !== undefined;
  }

  configure({ level, accessFile }: LogSnapshot): void {
    const isLogged = levels.values[level]! <= levels.values.info!;
    this.json = accessFile === 'json' ? this.fileLog : isLogged ? this.log : undefined;
    this.combined = accessFile === 'combined' ? this.file : undefined;
  }
}
