import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, pino } from 'pino';
import { AccessFile } from './access-file.js';
import { countLines } from './count-lines.js';

/** The log is bounded in memory: what a reader has not taken by then is dropped and counted. */
const UNWRITTEN_BYTES_MAX = 16 * 1024 * 1024;
const STDERR = 2;

export interface LogOptions {
  /** A pino level: trace, debug, info, warn, error, fatal, silent. */
  readonly level: string;
  /** `auto`: pretty on a terminal, JSON elsewhere. */
  readonly format: 'auto' | 'json' | 'pretty';
}

/**
 * Where all log lines of the process end: standard error, JSON or, on a terminal, text for people.
 * Writing is asynchronous, so that neither the control thread nor a worker waits for a reader; a
 * reader that falls too far behind loses lines, never memory.
 */
export class LogSink implements DestinationStream {
  /** Lines that were given up because the reader was too far behind. */
  linesDropped = 0;
  readonly logger: Logger;
  /** Where access lines go that have a file of their own. */
  readonly access: AccessFile;
  private readonly destination;
  private readonly prettify: ((line: string) => string) | undefined;
  private isClosing = false;
  private isClosed = false;
  /** The reader had its time: what is left is not tried again. */
  private isGivenUp = false;

  /** @param fd where to write, closed with the sink; standard error, unless a test wants it elsewhere */
  constructor(options: LogOptions, fd: number = STDERR) {
    this.destination = pino.destination({
      fd,
      sync: false,
      contentMode: 'buffer',
      maxLength: UNWRITTEN_BYTES_MAX,
      retryEAGAIN: () => !this.isGivenUp,
    });
    // A worker's lines come many at a time.
    this.destination.on('drop', (lines: Buffer) => {
      this.linesDropped += countLines(lines);
    });
    // A reader that went away must not take the proxy with it.
    this.destination.on('error', () => {});
    const isPretty = options.format === 'auto' ? isatty(fd) : options.format === 'pretty';
    this.prettify = isPretty ? prettifier(isatty(fd)) : undefined;
    this.logger = pino({ level: options.level, base: null }, this);
    this.access = new AccessFile(this.logger);
  }

  /** @param line one JSON line with its newline */
  write(line: string): void {
    if (this.isClosed) return;
    this.put(Buffer.from(this.prettify === undefined ? line : this.prettify(line)));
  }

  /** @param lines any number of JSON lines, each with its newline, as UTF-8; not the caller's any more */
  writeLines(lines: Buffer): void {
    if (this.isClosed) return;
    if (this.prettify === undefined) {
      this.put(lines);
      return;
    }
    for (const line of lines.toString().split('\n')) if (line !== '') this.write(line);
  }

  private put(bytes: Buffer): void {
    // The library takes bytes in its mode for them; its types know texts only.
    this.destination.write(bytes as unknown as string);
  }

  /**
   * Writes out what is left; lines that come later go nowhere.
   * @param timeoutMs a reader that takes longer is not waited for
   */
  async close(timeoutMs = 500): Promise<void> {
    if (this.isClosing) return;
    this.isClosing = true;
    // What it has to say still finds the log.
    await this.access.close(timeoutMs);
    this.isClosed = true;
    const { destination } = this;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      destination.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      destination.end();
    });
    // A pipe that is full is tried again every 100 ms, which would keep the process alive.
    this.isGivenUp = true;
    // What was not destroyed is written by pino when the process exits: synchronously, and over and
    // over until no error comes, which for a closed descriptor is for ever.
    destination.destroy();
  }
}

/** @returns a function from one JSON line to text for people, both with their newlines */
function prettifier(colorize: boolean): (line: string) => string {
  // Loaded for those who look, because it takes a tenth of a start.
  const load = createRequire(import.meta.url);
  const { prettyFactory } = load('pino-pretty') as typeof import('pino-pretty');
  const options = { colorize, ignore: 'pid,hostname', singleLine: true };
  return prettyFactory(options) as (line: string) => string;
}
