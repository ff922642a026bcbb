import {
  type CutReason,
  type NativeMemory,
  Outcome,
  type Pipe,
  PipeTap,
  type PumpTap,
  type Transport,
} from '../../splice/index.js';
import { Counter } from '../counters.js';
import type { WorkerRoom } from '../room.js';

/**
 * The bytes on their way to a shadow: at once where its socket takes them, else by the pipes of a tap.
 * Nothing is read again, so the first byte that finds no place is the end of it.
 *
 * ```
 *   spliced ──tee──▶ pipes ──splice──▶ socket
 *   copied  ──────────────── send ───▶ socket      while the pipes are empty
 *           ──write─▶ pipes
 * ```
 */
export class ShadowStream implements PumpTap {
  /** Nothing while every byte has found its place. */
  cutBy: CutReason | 'reset' | undefined;
  /** Once there is a connection. */
  transport: Transport | undefined;
  /** Made when something has to wait: for most requests nothing does. */
  private tap: PipeTap | undefined;
  private sentBytes = 0;
  /** What was taken out of a pipe because the transport does not splice, and what is left of it. */
  private buffer: NativeMemory | undefined;
  private bufferStart = 0;
  private bufferEnd = 0;
  private isCopying = false;

  constructor(
    private readonly room: WorkerRoom,
    private readonly bufferBytes: number,
  ) {}

  /** Bytes taken so far; they may not have been sent. */
  get bytes(): number {
    return this.sentBytes + (this.tap === undefined ? 0 : this.tap.bytes);
  }

  /** All that was taken was sent. */
  get isEmpty(): boolean {
    return (this.tap === undefined || this.tap.waitingBytes === 0) && this.buffer === undefined;
  }

  spliced(pipe: Pipe, bytes: number): void {
    const tap = this.waitingPlace();
    const before = tap.teedBytes;
    tap.spliced(pipe, bytes);
    this.room.counters.values[Counter.mirror_teed_bytes]! += tap.teedBytes - before;
    this.taken();
  }

  copied(address: number, bytes: number): void {
    const { transport } = this;
    let sent = 0;
    if (transport?.writable && this.isEmpty) {
      const written = transport.write(address, bytes);
      if (written > 0) sent = written;
      else if (written !== Outcome.Blocked) this.cutBy = 'reset';
    }
    this.sentBytes += sent;
    let taken = sent;
    if (sent < bytes && this.cutBy === undefined) {
      const tap = this.waitingPlace();
      const before = tap.copiedBytes;
      tap.copied(address + sent, bytes - sent);
      taken += tap.copiedBytes - before;
    }
    this.room.counters.values[Counter.mirror_copied_bytes]! += taken;
    this.taken();
  }

  /** Sends what can be sent now. */
  flush(): void {
    const { transport, tap } = this;
    if (transport === undefined || tap === undefined) return;
    while (!this.isEmpty && transport.writable && this.cutBy === undefined) {
      const moved = this.buffer !== undefined ? this.emptyBuffer() : this.emptyPipe(tap.pipe!);
      if (moved === Outcome.Failed) this.cutBy = 'reset';
    }
    tap.settle();
  }

  /** Gives everything back; what was not sent is lost. */
  release(): void {
    this.tap?.release();
    this.giveBuffer();
  }

  private waitingPlace(): PipeTap {
    this.tap ??= new PipeTap(this.room, this.bufferBytes);
    return this.tap;
  }

  private taken(): void {
    this.cutBy ??= this.tap?.cutBy;
    if (this.cutBy === undefined && !this.isEmpty) this.flush();
  }

  private emptyPipe(pipe: Pipe): number {
    if (this.isCopying) return this.fillBuffer(pipe);
    const moved = this.transport!.spliceFrom(pipe, false);
    if (moved === Outcome.NotSpliceable) this.isCopying = true;
    else if (moved > 0) this.tap!.settle();
    return moved;
  }

  private fillBuffer(pipe: Pipe): number {
    const { kernel, buffers } = this.room;
    const buffer = buffers.take();
    const length = Math.min(buffer.byteLength, pipe.bytes);
    const read = kernel.read(pipe.readEnd, buffer.address, length);
    if (read <= 0) {
      buffers.give(buffer);
      return Outcome.Failed;
    }
    pipe.bytes -= read;
    this.tap!.settle();
    this.buffer = buffer;
    this.bufferStart = 0;
    this.bufferEnd = read;
    return read;
  }

  private emptyBuffer(): number {
    const length = this.bufferEnd - this.bufferStart;
    const written = this.transport!.write(this.buffer!.address + this.bufferStart, length);
    if (written > 0) this.bufferStart += written;
    if (written === length) this.giveBuffer();
    return written;
  }

  private giveBuffer(): void {
    if (this.buffer === undefined) return;
    this.room.buffers.give(this.buffer);
    this.buffer = undefined;
  }
}
