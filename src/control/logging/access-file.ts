import { closeSync, constants, fstatSync, openSync, write } from 'node:fs';
import type { Logger } from 'pino';
import { countLines } from './count-lines.js';

/** Lines that the file has not taken yet; what comes on top is dropped and counted. */
const UNWRITTEN_BYTES_MAX = 16 * 1024 * 1024;
/** After a write that failed, as on a full disk, the next one is tried so much later. */
const RETRY_MS = 200;
/** The same for a pipe that is full: twice as long each time its reader was slower than that. */
const PIPE_RETRY_MS = 5;
/** The log says so often, at most, that lines cannot be written. */
const WARN_MS = 60_000;
const MODE = 0o640;
const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK } = constants;
/** A pipe that nobody reads is an error, and one that is full is waited for by a timer, not by a thread. */
const FLAGS = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK;
const LF = 0x0a;

/** A file that was opened, and perhaps takes the place of the one in use. */
export interface OpenedFile {
  readonly path: string;
  readonly fd: number;
}

/**
 * The file that access lines are appended to.
 *
 * ```
 *              lines come              all written
 *   quiet ───────────────────▶ writing ───────────▶ quiet
 *                               │   ▲
 *                        failed ▼   │ a moment later
 *                              waiting
 * ```
 *
 * Writing is asynchronous and memory bounded, so nobody waits for a disk. A write that fails is tried again, from
 * where it stopped: a full disk costs time, and lines only once the bound is reached. The library that
 * writes the log would do all of that but one thing: on its way out it writes what is left for as long as
 * that fails.
 */
export class AccessFile {
  /** Calls that failed: write(2), and open(2) when the file should have been opened anew. */
  errors = 0;
  /** Lines that were given up, because the file had not taken those before. */
  linesLost = 0;
  private file: OpenedFile | undefined;
  /** Takes the place of `file` once a line of that is whole. */
  private next: OpenedFile | undefined;
  private readonly queue: Buffer[] = [];
  private queuedBytes = 0;
  /** Bytes of the first of the queue that were written. */
  private written = 0;
  private isWriting = false;
  private retry: NodeJS.Timeout | undefined;
  private pipeDelayMs = PIPE_RETRY_MS;
  /** The log says that lines cannot be written, and not yet that they can again. */
  private isTold = false;
  private warnedMs = Number.NEGATIVE_INFINITY;
  private onQuiet: (() => void) | undefined;

  constructor(private readonly logger: Logger) {}

  /**
   * Opens the file, and makes it if it is not there; the one in use stays that.
   * @throws Error that says which file and why
   */
  open(path: string): OpenedFile {
    try {
      return { path, fd: openSync(path, FLAGS, MODE) };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      throw new Error(`log.access.file: ${path} can't be opened: ${code ?? message}`);
    }
  }

  /** From now on lines go there. */
  use(file: OpenedFile): void {
    this.discard(this.next);
    this.next = file;
    const isIdle = this.queue.length === 0 || this.retry !== undefined;
    if (this.file === undefined || isIdle) this.turnOver();
  }

  /** Opens the file by its name again: somebody has moved it away. */
  reopen(): void {
    const { path } = this.next ?? this.file ?? {};
    if (path === undefined) return;
    try {
      this.use(this.open(path));
      this.logger.info({ path }, 'access log opened anew');
    } catch (error) {
      this.errors++;
      this.logger.warn({ err: error, path }, 'access log not opened anew: the open file stays');
    }
  }

  /** @param lines any number of lines, each with its newline; not the caller's any more */
  write(lines: Buffer): void {
    if (this.file === undefined) return;
    if (this.queuedBytes + lines.length > UNWRITTEN_BYTES_MAX) {
      this.linesLost += countLines(lines);
      return;
    }
    this.queue.push(lines);
    this.queuedBytes += lines.length;
    this.proceed();
  }

  /** Closes an opened file that is not to be used. */
  discard(file: OpenedFile | undefined): void {
    if (file === undefined) return;
    if (file === this.next) this.next = undefined;
    closeSync(file.fd);
  }

  /**
   * Writes what is left, and closes: from now on lines go nowhere.
   * @param timeoutMs a file that takes longer is not waited for
   */
  async close(timeoutMs = 500): Promise<void> {
    if (this.queue.length > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.onQuiet = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.onQuiet = undefined;
    }
    this.forget();
  }

  private proceed(): void {
    if (this.isWriting || this.retry !== undefined) return;
    const [first] = this.queue;
    if (first === undefined) {
      this.onQuiet?.();
      return;
    }
    this.isWriting = true;
    const file = this.file!;
    write(file.fd, first, this.written, first.length - this.written, null, (error, bytes) => {
      this.isWriting = false;
      // It was given up while the call was under way.
      if (this.file !== file) closeSync(file.fd);
      else if (error === null) this.wrote(first, bytes);
      else this.failed(error);
      this.proceed();
    });
  }

  private wrote(first: Buffer, bytes: number): void {
    this.written += bytes;
    this.pipeDelayMs = PIPE_RETRY_MS;
    if (this.written < first.length) return;
    this.queue.shift();
    // A disk that has room for a few lines now and then is as good as full.
    if (this.isTold && this.queue.length === 0) {
      this.isTold = false;
      const { linesLost: lines_lost } = this;
      this.logger.info({ path: this.file!.path, lines_lost }, 'access log is written again');
    }
    this.queuedBytes -= first.length;
    this.written = 0;
    if (this.next !== undefined) this.turnOver();
  }

  private failed(error: NodeJS.ErrnoException): void {
    if (this.next !== undefined) {
      this.turnOver();
      return;
    }
    let delayMs = RETRY_MS;
    // A full pipe is no failure: its reader is slow.
    if (error.code === 'EAGAIN') {
      delayMs = this.pipeDelayMs;
      this.pipeDelayMs = Math.min(RETRY_MS, delayMs * 2);
    } else {
      this.errors++;
      this.warn(error);
    }
    this.retry = setTimeout(() => {
      this.retry = undefined;
      this.proceed();
    }, delayMs);
    this.retry.unref();
  }

  private warn(error: NodeJS.ErrnoException): void {
    const nowMs = performance.now();
    if (nowMs - this.warnedMs < WARN_MS) return;
    this.warnedMs = nowMs;
    this.isTold = true;
    const { path } = this.file!;
    this.logger.warn(
      { path, code: error.code },
      'access log cannot be written: lines wait, then go',
    );
  }

  /**
   * The next file takes over. A line that the last one has in part is written here as a whole; where it is the same
   * file by another descriptor, as with a reload or a pipe, the line goes on instead.
   */
  private turnOver(): void {
    const [first] = this.queue;
    if (first !== undefined && this.written > 0 && !isSame(this.file, this.next)) {
      const lineStart = first.lastIndexOf(LF, this.written - 1) + 1;
      this.queue[0] = first.subarray(lineStart);
      this.queuedBytes -= lineStart;
      this.written = 0;
    }
    if (this.file !== undefined) closeSync(this.file.fd);
    this.file = this.next;
    this.next = undefined;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.proceed();
  }

  private forget(): void {
    const [first] = this.queue;
    if (first !== undefined) this.linesLost += countLines(first, this.written);
    for (const bytes of this.queue.splice(0).slice(1)) this.linesLost += countLines(bytes);
    this.queuedBytes = 0;
    this.written = 0;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.discard(this.next);
    const { file } = this;
    this.file = undefined;
    // A call under way closes it when it returns.
    if (file !== undefined && !this.isWriting) closeSync(file.fd);
    this.onQuiet?.();
  }
}

function isSame(one: OpenedFile | undefined, other: OpenedFile | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  const [before, after] = [fstatSync(one.fd), fstatSync(other.fd)];
  return before.dev === after.dev && before.ino === after.ino;
}
