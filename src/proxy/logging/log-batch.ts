import type { MessagePort } from 'node:worker_threads';
import { Counter, type Counters } from '../counters.js';
import type { EventLoop } from '../event-loop.js';
import type { FromWorker, LogKind } from '../messages.js';
import { Timer, type TimerOwner } from '../timer-wheel.js';
import { type LineKeeper, LineMemory } from './line-memory.js';

/** A batch is sent when it has grown to this many bytes, or when its first line is this old. */
const BATCH_BYTES = 32 * 1024;
const BATCH_AGE_MS = 50;
/** Bytes the control thread may be behind before lines are dropped and counted. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;

/** Lines that are not longer find room behind a batch that is nearly large enough. */
const LINE_BYTES = 4 * 1024;

/**
 * Where a worker's lines go: they are gathered and handed to the control thread, which has the descriptor, a few times
 * a second. A worker never waits for whoever reads the log; when that reader falls behind, lines are dropped and
 * `log_lines_dropped` says how many.
 */
export class LogBatch implements LineKeeper, TimerOwner {
  readonly memory = new LineMemory(BATCH_BYTES + LINE_BYTES);
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
    this.memory.addText(line);
    this.lineWritten();
  }

  lineWritten(): void {
    if (this.lineCount === 0) {
      this.loop.wheel.schedule(this.timer, this.loop.nowMs + BATCH_AGE_MS);
    }
    this.lineCount++;
    if (this.memory.length >= BATCH_BYTES) this.flush();
  }

  flush(): void {
    if (this.lineCount === 0) return;
    this.loop.wheel.cancel(this.timer);
    if (Atomics.load(this.backlog, 0) > BACKLOG_BYTES_MAX) {
      this.counters.values[Counter.log_lines_dropped]! += this.lineCount;
      this.memory.clear();
    } else {
      const lines = this.memory.take();
      Atomics.add(this.backlog, 0, lines.length);
      const message: FromWorker = { type: this.kind, lines };
      this.port.postMessage(message, [lines.buffer]);
    }
    this.lineCount = 0;
  }

  onTimer(): void {
    this.flush();
  }

  onException(): void {
    // The port is gone: the control thread is, too.
    this.memory.clear();
    this.lineCount = 0;
  }
}
