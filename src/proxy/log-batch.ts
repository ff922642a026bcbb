import type { MessagePort } from 'node:worker_threads';
import { Counter, type Counters } from './counters.js';
import type { EventLoop } from './event-loop.js';
import type { FromWorker, LogKind } from './messages.js';
import { Timer, type TimerOwner } from './timer-wheel.js';

/** A batch is sent when it has grown to this many characters, or when its first line is this old. */
const BATCH_CHARS = 32 * 1024;
const BATCH_AGE_MS = 50;
/** Bytes the control thread may be behind before lines are dropped and counted. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Where a worker's pino writes to: lines are gathered and handed to the control thread, which has
 * the descriptor, a few times a second. A worker never waits for whoever reads the log; when that
 * reader falls behind, lines are dropped and `log_lines_dropped` says how many.
 */
export class LogBatch implements TimerOwner {
  private lines = '';
  private lineCount = 0;
  private readonly timer = new Timer(this);
  private readonly backlog: Int32Array;

  /**
   * @param backlog one shared Int32: bytes on their way to the descriptor
   * @param kind which descriptor
   */
  constructor(
    private readonly port: MessagePort,
    backlog: SharedArrayBuffer,
    private readonly counters: Counters,
    private readonly loop: EventLoop,
    private readonly kind: LogKind = 'log',
  ) {
    this.backlog = new Int32Array(backlog);
  }

  /** pino's destination interface. @param line one line with its newline */
  write(line: string): void {
    if (this.lineCount === 0) {
      this.loop.wheel.schedule(this.timer, this.loop.nowMs + BATCH_AGE_MS);
    }
    this.lines += line;
    this.lineCount++;
    if (this.lines.length >= BATCH_CHARS) this.flush();
  }

  flush(): void {
    if (this.lineCount === 0) return;
    this.loop.wheel.cancel(this.timer);
    if (Atomics.load(this.backlog, 0) > BACKLOG_BYTES_MAX) {
      this.counters.values[Counter.log_lines_dropped]! += this.lineCount;
    } else {
      const bytes = Buffer.byteLength(this.lines);
      Atomics.add(this.backlog, 0, bytes);
      const message: FromWorker = { type: this.kind, lines: this.lines, bytes };
      this.port.postMessage(message);
    }
    this.lines = '';
    this.lineCount = 0;
  }

  onTimer(): void {
    this.flush();
  }

  onException(): void {
    // The port is gone: the control thread is, too.
    this.lines = '';
    this.lineCount = 0;
  }
}
