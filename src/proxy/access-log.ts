import type { Logger } from 'pino';
import type { LogSnapshot } from './snapshot.js';

/** Takes whole lines. */
export interface LineSink {
  write(line: string): void;
}

/**
 * Where a worker's access lines go: into its log, or to the file that is for them alone. A line of the
 * combined format is there for HTTP requests only, so with that format all else stays in the log.
 */
export class AccessLog {
  /** For objects, whatever they are about. */
  json: Logger;
  /** For lines of requests in the combined format; nothing where requests are objects, too. */
  combined: LineSink | undefined;

  /**
   * @param log of the worker
   * @param fileLog the same for the file
   * @param file whole lines for it
   */
  constructor(
    private readonly log: Logger,
    private readonly fileLog: Logger = log,
    private readonly file?: LineSink,
  ) {
    this.json = log;
  }

  configure({ accessFile }: LogSnapshot): void {
    this.json = accessFile === 'json' ? this.fileLog : this.log;
    this.combined = accessFile === 'combined' ? this.file : undefined;
  }
}
