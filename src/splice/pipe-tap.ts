import { Errno } from './errno.js';
import type { Pipe } from './pipe.js';
import type { PumpRoom } from './pump.js';
import type { PumpTap } from './pump-tap.js';
import { teePipe } from './tee.js';
import { Outcome } from './transport.js';

/** Why a tap has stopped taking bytes. */
export const cutReasons = [
  /** The pipe had no room: whoever empties it is slower than the pump. */
  'full',
  /** No pipe was to be had. */
  'no_pipe',
  /** The kernel does not tee these bytes. */
  'refused',
  /** tee(2) or write(2) failed. */
  'failed',
] as const;
export type CutReason = (typeof cutReasons)[number];

/**
 * Collects what a pump reads in a pipe of its own: by tee(2) what is spliced, by write(2) what is
 * copied. Somebody else empties the pipe.
 *
 * ```
 *   open ──a byte found no place──▶ cut
 *     └────────────release──────────┴──▶ released
 * ```
 *
 * It is cut for good at the first byte that it cannot take, so what comes out of its pipe is always a
 * beginning of the stream, never a stream with a gap.
 */
export class PipeTap implements PumpTap {
  /** Bytes taken by each path: together the length of the stream's beginning that was taken. */
  teedBytes = 0;
  copiedBytes = 0;
  /** Nothing while every byte has found its place. */
  cutBy: CutReason | undefined;
  /** Where the bytes are; nothing while there are none. Take from its read end, and count `bytes` down. */
  pipe: Pipe | undefined;
  private isOpen = true;

  constructor(private readonly room: PumpRoom) {}

  get isCut(): boolean {
    return this.cutBy !== undefined;
  }

  /** Bytes taken so far, whether they wait in the pipe or have left it. */
  get bytes(): number {
    return this.teedBytes + this.copiedBytes;
  }

  /** Bytes in the pipe. */
  get waitingBytes(): number {
    return this.pipe === undefined ? 0 : this.pipe.bytes;
  }

  spliced(from: Pipe, bytes: number): void {
    if (!this.isOpen) return;
    const pipe = this.takePipe();
    if (pipe === undefined) return;
    const teed = teePipe(this.room.kernel, from, pipe, bytes);
    if (teed > 0) this.teedBytes += teed;
    if (teed === bytes) return;
    if (teed > 0 || teed === Outcome.Blocked) this.cut('full');
    else this.cut(teed === Outcome.NotSpliceable ? 'refused' : 'failed');
  }

  copied(address: number, bytes: number): void {
    if (!this.isOpen) return;
    const pipe = this.takePipe();
    if (pipe === undefined) return;
    const written = this.room.kernel.write(pipe.writeEnd, address, bytes);
    if (written > 0) {
      pipe.bytes += written;
      this.copiedBytes += written;
    }
    // A pipe with room for a part takes that (pipe(7), O_NONBLOCK).
    if (written < bytes) this.cut(written >= 0 || written === -Errno.EAGAIN ? 'full' : 'failed');
  }

  /** Gives an empty pipe back: a tap on a quiet flow owns nothing. */
  settle(): void {
    if (this.pipe === undefined || this.pipe.bytes > 0) return;
    this.room.pipes.give(this.pipe);
    this.pipe = undefined;
  }

  /** Takes no more bytes, and gives the pipe back with whatever is in it. */
  release(): void {
    this.isOpen = false;
    if (this.pipe === undefined) return;
    this.room.pipes.give(this.pipe);
    this.pipe = undefined;
  }

  private takePipe(): Pipe | undefined {
    this.pipe ??= this.room.pipes.take(this.room.clock.nowMs);
    if (this.pipe === undefined) this.cut('no_pipe');
    return this.pipe;
  }

  private cut(reason: CutReason): void {
    this.isOpen = false;
    this.cutBy = reason;
  }
}
