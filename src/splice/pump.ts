import {
  type LateSender,
  LateWrite,
  type LateWrites,
  type ReaderAhead,
  type ReadsAhead,
} from './batch/index.js';
import type { NativeMemory } from './memory.js';
import type { Pipe } from './pipe.js';
import { PlainTransport } from './plain-transport.js';
import { type PumpMeter, PumpSlot } from './pump-meter.js';
import { PumpResult } from './pump-result.js';
import type { PumpRoom } from './pump-room.js';
import type { PumpTap } from './pump-tap.js';
import { Outcome, type Transport } from './transport.js';
import { requireWhole } from './whole-number.js';

// Full reads, in a row, before a pump begins to splice: two tell a bulk transfer from a long message. Full is
// FULL_READ_BYTES, or what fills the buffer, or as much as the source ever gives at once: less than the 64 KiB that a sender's
// TCP hands to its network card, or over loopback, in one piece, so that a stream that is read piece by piece is one. Splices below
// SMALL_SPLICE_BYTES, in a row, before it copies again: a copy of that size costs less than the second system call.
// docs/benchmarks.md has the measurements.
const FULL_READS_MAX = 2;
const FULL_READ_BYTES = 32 * 1024;
const SMALL_SPLICES_MAX = 8;
const SMALL_SPLICE_BYTES = 16 * 1024;

/** Whose pump makes calls together with others. */
export interface PumpOwner {
  /** A write that was made late has failed: the pump is to be run. */
  onSinkFailed(): void;
  onException(error: unknown): void;
}

/** Bytes one pump may move before other flows get their turn. */
export const TURN_BYTES_MAX = 8 * 1024 * 1024;
/**
 * What a read counts at least: 256 of them are a turn. A peer whose bytes come in many small reads, each record of TLS
 * between two changes of keys, say, would have the loop for as long as it likes.
 */
export const TURN_READ_BYTES = 32 * 1024;

/**
 * One direction of a flow: moves bytes from a source to a sink until the source ends or a limit is
 * reached. It copies while messages are small and splices while they are large, and falls back to
 * copying where the kernel refuses to splice.
 *
 * It holds at most one thing, a buffer **or** a pipe, and only while that has bytes the sink did
 * not take; it reads only when it holds nothing. So bytes stay in order, EAGAIN is never ambiguous,
 * a slow reader slows its writer down, and a quiet flow owns no memory.
 *
 * ```
 *            read fills the buffer twice
 *   copying ───────────────────────────────▶ splicing
 *      ▲ ◀─────────────────────────────────     │
 *      │     eight small splices in a row       │ refused: EINVAL, ENOSYS, EOPNOTSUPP, EPERM
 *      └────────────────────────────────────────┘ (and never again)
 * ```
 */
export class Pump implements LateSender, ReaderAhead {
  /** Bytes moved by each path so far. */
  copiedBytes = 0;
  splicedBytes = 0;
  /** The source's stream has ended; some of it may still be held for the sink. */
  sourceEnded = false;
  /** Bytes that may still be read; a framed body sets it, a tunnel leaves it without limit. `run` throws when it is less than 0. */
  remainingBytes = Number.POSITIVE_INFINITY;
  /**
   * The sink will be shut down in the very turn in which this pump says that the source has ended: the last
   * bytes may wait for that, and share their segment with the FIN.
   */
  endsSink = false;
  /** Sees what is read from now on, before the sink is given it. */
  tap: PumpTap | undefined;

  private buffer: NativeMemory | undefined;
  private bufferStart = 0;
  private bufferEnd = 0;
  private pipe: Pipe | undefined;
  /** Bytes go through a pipe: what came last was much. */
  private isSplicing = false;
  private mayEverSplice = true;
  /** Reads in a row that speak for the other mode. */
  private streak = 0;
  /** Bytes of a read from which it counts as full. */
  private readonly fullReadBytes: number;
  /** These three are there where reads and writes may be made together with those of others. */
  private plainSource: PlainTransport | undefined;
  private lateWrites: LateWrites | undefined;
  private owner: PumpOwner | undefined;
  /** While a write waits for those of others. */
  private late: LateWrite | undefined;
  /** What was read ahead, and what that call answered. */
  private ahead: NativeMemory | undefined;
  private aheadResult = 0;
  /** A late write found the sink broken, and took the error off its socket: run this pump before the sink is read. */
  hasSinkFailed = false;

  constructor(
    private readonly room: PumpRoom,
    private readonly meter: PumpMeter,
    readonly source: Transport,
    readonly sink: Transport,
  ) {
    this.fullReadBytes = Math.min(FULL_READ_BYTES, room.buffers.bufferBytes, source.bulkReadBytes);
  }

  /** True while bytes that were read wait for the sink. */
  get isHolding(): boolean {
    return this.buffer !== undefined || this.pipe !== undefined;
  }

  /** Bytes that were read and that the sink has not taken. */
  get heldBytes(): number {
    return this.bufferEnd - this.bufferStart + (this.pipe?.bytes ?? 0);
  }

  /** True while {@link run} might do something; false saves the call. */
  get isDue(): boolean {
    return this.isHolding || this.ahead !== undefined || this.source.readable;
  }

  /**
   * Reads and writes of this pump may be made together with those of others, where both sides are plain TCP sockets.
   */
  shareCalls(writes: LateWrites, owner: PumpOwner): void {
    const { source, sink } = this;
    if (!(source instanceof PlainTransport && source.isTcp)) return;
    if (!(sink instanceof PlainTransport && sink.isTcp)) return;
    this.plainSource = source;
    this.lateWrites = writes;
    this.owner = owner;
  }

  /** The next thing to do, were there bytes, is a read of a buffer that may be made together with others. */
  get mayReadAhead(): boolean {
    const { plainSource } = this;
    if (plainSource === undefined || plainSource.hasReadAll || !this.sink.writable) return false;
    return !this.isHolding && !this.isSplicing && !Number.isFinite(this.remainingBytes);
  }

  /** There are bytes at the source. */
  askAhead(reads: ReadsAhead): void {
    if (!this.mayReadAhead) return;
    const buffer = this.room.buffers.take();
    reads.readAhead(this.source.fd, buffer, buffer.address, buffer.byteLength, this);
  }

  hasReadAhead(buffer: NativeMemory, result: number): void {
    this.ahead = buffer;
    this.aheadResult = result;
  }

  /** Much is known to wait at the source: the next read is a splice already. */
  expectMuch(): void {
    if (this.mayEverSplice) this.switchTo(true);
  }

  /**
   * Moves what can be moved now, up to {@link TURN_BYTES_MAX}. Call it when either side became
   * ready; calling it for nothing costs no system call. Allocates nothing.
   */
  run(): PumpResult {
    let budget = TURN_BYTES_MAX;
    for (;;) {
      if (this.buffer !== undefined || this.pipe !== undefined) {
        const delivered = this.deliver();
        if (delivered !== Outcome.Eof) {
          return delivered === Outcome.Blocked ? PumpResult.Waiting : PumpResult.SinkFailed;
        }
      }
      if (this.sourceEnded || this.remainingBytes === 0) return PumpResult.Ended;
      if (!(this.remainingBytes > 0)) requireWhole('remainingBytes', this.remainingBytes);
      if (!this.source.readable) return PumpResult.Waiting;
      if (budget <= 0) return PumpResult.Yielded;

      const moved = this.isSplicing ? this.fillPipe() : this.fillBuffer();
      if (moved > 0) {
        budget -= moved < TURN_READ_BYTES ? TURN_READ_BYTES : moved;
        this.remainingBytes -= moved;
        continue;
      }
      switch (moved) {
        case Outcome.Eof:
          this.sourceEnded = true;
          return PumpResult.Ended;
        case Outcome.Blocked:
          this.meter[PumpSlot.SourceBlocked]!++;
          return PumpResult.Waiting;
        case Outcome.NotSpliceable:
          this.refuse();
          break;
        default:
          return PumpResult.SourceFailed;
      }
    }
  }

  onSent(written: number): void {
    this.forgetLate();
    const length = this.bufferEnd - this.bufferStart;
    if (written === length) {
      this.giveBuffer();
    } else if (written > 0 || written === Outcome.Blocked) {
      if (written > 0) this.bufferStart += written;
      this.meter[PumpSlot.SinkBlocked]!++;
    } else {
      this.hasSinkFailed = true;
      this.owner!.onSinkFailed();
    }
  }

  onException(error: unknown): void {
    this.owner!.onException(error);
  }

  /** A write that was to be made later is made now: the sink is about to be closed, or asked how it is. */
  settle(): void {
    this.late?.settle();
  }

  /** Gives back what the pump holds. A pump that was released must not run again. */
  release(): void {
    this.late?.withdraw();
    this.forgetLate();
    if (this.ahead !== undefined) this.room.buffers.give(this.ahead);
    this.ahead = undefined;
    this.plainSource = undefined;
    this.giveBuffer();
    this.givePipe();
  }

  private fillBuffer(): number {
    const { ahead } = this;
    const buffer = ahead ?? this.room.buffers.take();
    const { byteLength } = buffer;
    let read: number;
    if (ahead === undefined) {
      const wanted = this.remainingBytes < byteLength ? this.remainingBytes : byteLength;
      read = this.source.read(buffer.address, wanted);
    } else {
      this.ahead = undefined;
      read = this.plainSource!.hasRead(this.aheadResult, byteLength);
    }
    if (read <= 0) {
      this.room.buffers.give(buffer);
      return read;
    }
    this.buffer = buffer;
    this.bufferStart = 0;
    this.bufferEnd = read;
    this.tap?.copied(buffer.address, read);
    this.copiedBytes += read;
    this.meter[PumpSlot.CopyBytes]! += read;
    this.meter[PumpSlot.CopyOperations]!++;
    if (read < this.fullReadBytes) this.streak = 0;
    else if (++this.streak >= FULL_READS_MAX && this.mayEverSplice) this.switchTo(true);
    return read;
  }

  private fillPipe(): number {
    const pipe = this.room.pipes.take(this.room.clock.nowMs);
    if (pipe === undefined) {
      this.meter[PumpSlot.NoPipe]!++;
      return this.fillBuffer();
    }
    const moved = this.source.spliceTo(pipe, Math.min(pipe.capacityBytes, this.remainingBytes));
    if (moved <= 0) {
      this.room.pipes.give(pipe);
      return moved;
    }
    this.pipe = pipe;
    this.tap?.spliced(pipe, moved);
    this.splicedBytes += moved;
    this.meter[PumpSlot.SpliceBytes]! += moved;
    this.meter[PumpSlot.SpliceOperations]!++;
    if (moved >= SMALL_SPLICE_BYTES) this.streak = 0;
    else if (++this.streak >= SMALL_SPLICES_MAX) this.switchTo(false);
    return moved;
  }

  /** @returns Eof when nothing is held any more, Blocked, or Failed */
  private deliver(): number {
    if (this.late !== undefined) {
      if (!this.source.readable) return Outcome.Blocked;
      // More has come meanwhile, and nobody would run this pump again when the write is made.
      this.late.settle();
      if (!this.isHolding) return Outcome.Eof;
    }
    if (this.hasSinkFailed) return Outcome.Failed;
    if (!this.sink.writable) return Outcome.Blocked;
    if (this.lateWrites?.isOpen && this.writeLate(this.lateWrites)) return Outcome.Blocked;
    do {
      const outcome = this.pipe !== undefined ? this.emptyPipe(this.pipe) : this.emptyBuffer();
      if (outcome === Outcome.NotSpliceable) {
        if (!this.copyOutOfPipe()) return Outcome.Failed;
      } else if (outcome <= 0) {
        if (outcome !== Outcome.Blocked) return Outcome.Failed;
      } else if (this.buffer === undefined && this.pipe === undefined) {
        return Outcome.Eof;
      }
    } while (this.sink.writable);
    this.meter[PumpSlot.SinkBlocked]!++;
    return Outcome.Blocked;
  }

  /** @returns false unless it is one write of little, after which there is nothing to do before the next event */
  private writeLate(writes: LateWrites): boolean {
    const { buffer, sink, bufferStart } = this;
    if (buffer === undefined || this.pipe !== undefined) return false;
    if (this.source.readable || this.remainingBytes === 0) return false;
    const length = this.bufferEnd - bufferStart;
    const late = LateWrite.take(this);
    this.late = late;
    if (late.offer(writes, sink, buffer.address + bufferStart, length)) return true;
    this.forgetLate();
    return false;
  }

  private forgetLate(): void {
    if (this.late !== undefined) LateWrite.give(this.late);
    this.late = undefined;
  }

  private emptyBuffer(): number {
    const buffer = this.buffer!;
    const length = this.bufferEnd - this.bufferStart;
    const isLast = this.endsSink && this.source.hasReadAll;
    const written = this.sink.write(buffer.address + this.bufferStart, length, isLast);
    if (written > 0) {
      this.bufferStart += written;
      if (written === length) {
        this.giveBuffer();
        // The sink would not splice and the pipe may have more for it.
        if (this.pipe !== undefined && this.pipe.bytes === 0) this.givePipe();
      }
    }
    return written;
  }

  private emptyPipe(pipe: Pipe): number {
    if (this.buffer !== undefined) return this.emptyBuffer();
    // Never with "more": a source that may be read again is not known to have anything, and what is
    // held back for it would wait 200 ms.
    const moved = this.sink.spliceFrom(pipe, false);
    if (moved > 0 && pipe.bytes === 0) this.givePipe();
    return moved;
  }

  /** After a sink refused to splice: the pipe's bytes go on through a buffer, a buffer at a time. */
  private copyOutOfPipe(): boolean {
    const pipe = this.pipe!;
    this.refuse();
    const buffer = this.room.buffers.take();
    const read = this.room.kernel.read(pipe.readEnd, buffer.address, buffer.byteLength);
    if (read <= 0) {
      this.room.buffers.give(buffer);
      return false;
    }
    pipe.bytes -= read;
    this.buffer = buffer;
    this.bufferStart = 0;
    this.bufferEnd = read;
    return true;
  }

  private refuse(): void {
    if (this.mayEverSplice) this.meter[PumpSlot.Refused]!++;
    this.mayEverSplice = false;
    this.switchTo(false);
  }

  private switchTo(isSplicing: boolean): void {
    this.isSplicing = isSplicing;
    this.streak = 0;
  }

  private giveBuffer(): void {
    if (this.buffer === undefined) return;
    this.room.buffers.give(this.buffer);
    this.buffer = undefined;
    this.bufferStart = 0;
    this.bufferEnd = 0;
  }

  private givePipe(): void {
    if (this.pipe === undefined) return;
    this.room.pipes.give(this.pipe);
    this.pipe = undefined;
  }
}
