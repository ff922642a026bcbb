import { BufferPool } from './buffer-pool.js';
import { Epoll } from './constants.js';
import type { Kernel } from './kernel.js';
import { PipePool } from './pipe-pool.js';
import { Pump } from './pump.js';
import { PUMP_SLOTS, type PumpMeter } from './pump-meter.js';
import { PumpResult } from './pump-result.js';
import type { PumpRoom } from './pump-room.js';
import { takeSocketError } from './socket.js';
import type { Transport } from './transport.js';

const BUFFER_BYTES = 32 * 1024;
const PIPE_BYTES = 256 * 1024;
const PIPE_MEMORY_BYTES = 64 * 1024 * 1024;
/** What either descriptor of a pair is registered for, once for its whole life. */
export const PAIR_EVENTS =
  (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;
const BROKEN_EVENTS = Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** What pumps share, with sizes that suit most programs; set `clock.nowMs` after each wait. */
export function createPumpRoom(kernel: Kernel): PumpRoom {
  return {
    kernel,
    pipes: new PipePool(kernel, PIPE_BYTES, PIPE_MEMORY_BYTES),
    buffers: new BufferPool(BUFFER_BYTES),
    clock: { nowMs: 0 },
  };
}

/** How a turn of a pair ended. */
export const PairResult = {
  /** Nothing more can move until an event says so. */
  Waiting: 0,
  /** A pump's budget is used up: run again, unasked, after others had their turn. */
  Yielded: 1,
  /** Both sides have said their last, and have been told the other's. */
  Ended: 2,
  /** A side broke, and what can still be told was told. */
  Broken: 3,
} as const;
export type PairResult = (typeof PairResult)[keyof typeof PairResult];

/**
 * Two connections made one: a pump each way, and the rules for how they end. Who says end of stream may go on
 * listening; who breaks takes the other one along, but not before its last bytes have gone.
 *
 * ```
 *   both ways ──end passed on, or a sink broke──▶ one way ──likewise──▶ Ended, or Broken
 *        └──────────── a source broke ──────────────┴─────────────────▶ Broken
 * ```
 */
export class PumpPair {
  /** Bytes and calls, both ways together. */
  readonly meter: PumpMeter = new Float64Array(PUMP_SLOTS);
  private readonly forth: Pump;
  private readonly back: Pump;
  /** That way is over: its end was passed on, or nobody takes its bytes any more. */
  private isForthOver = false;
  private isBackOver = false;
  /** The side that broke while there was still something to move. */
  private broken: Transport | undefined;
  private hasYielded = false;
  /** What the last turn came to. */
  result: PairResult = PairResult.Waiting;

  /** @param one who closes either is this object */
  constructor(
    private readonly room: PumpRoom,
    readonly one: Transport,
    readonly other: Transport,
  ) {
    this.forth = new Pump(room, this.meter, one, other);
    this.back = new Pump(room, this.meter, other, one);
  }

  /** Takes over what epoll reported for one of the descriptors. */
  notice(fd: number, events: number): void {
    const isOne = fd === this.one.fd;
    const side = isOne ? this.one : this.other;
    side.notice(events);
    if ((events & BROKEN_EVENTS) === 0 || this.broken !== undefined) return;
    // A read will say so. Where none is made any more, or not yet, nobody else would find out.
    const isUnread = isOne
      ? this.isForthOver || this.forth.isHolding
      : this.isBackOver || this.back.isHolding;
    if (isUnread && takeSocketError(this.room.kernel, fd) !== 0) this.broken = side;
  }

  /** Moves what can be moved now, both ways. Call it after `notice`, and again after Yielded. */
  run(): PairResult {
    this.hasYielded = false;
    this.result = this.runPump(this.forth) ?? this.runPump(this.back) ?? this.state;
    return this.result;
  }

  /** Closes both: in good order after Ended, else with a reset, so that neither takes a part for the whole. */
  close(): void {
    this.forth.release();
    this.back.release();
    for (const side of [this.one, this.other]) {
      if (this.result === PairResult.Ended) side.close();
      else side.reset();
    }
  }

  private get state(): PairResult {
    if (this.isForthOver && this.isBackOver) {
      return this.broken === undefined ? PairResult.Ended : PairResult.Broken;
    }
    return this.hasYielded ? PairResult.Yielded : PairResult.Waiting;
  }

  private isOver(pump: Pump): boolean {
    return pump === this.forth ? this.isForthOver : this.isBackOver;
  }

  /** @returns Broken when there is nothing more to move either way */
  private runPump(pump: Pump): typeof PairResult.Broken | undefined {
    if (this.isOver(pump)) return this.broken === pump.source ? PairResult.Broken : undefined;
    switch (pump.run()) {
      case PumpResult.Waiting:
        return undefined;
      case PumpResult.Yielded:
        this.hasYielded = true;
        return undefined;
      case PumpResult.SourceFailed:
        return PairResult.Broken;
      case PumpResult.SinkFailed:
        // What it has said before may still be waiting, the other way.
        pump.release();
        this.broken = pump.sink;
        break;
      case PumpResult.Ended:
        if (this.broken === pump.source) return PairResult.Broken;
        // Where this fails it has met a reset, and the other way's read will say so.
        pump.sink.shutdownWrite();
    }
    if (pump === this.forth) this.isForthOver = true;
    else this.isBackOver = true;
    return undefined;
  }
}
