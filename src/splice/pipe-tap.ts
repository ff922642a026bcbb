import { Errno } from './errno.js';
import type { Pipe } from './pipe.js';
import type { PumpRoom } from './pump-room.js';
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
/** Why a tap has been cut: one of {@link cutReasons}. */
export type CutReason = (typeof cutReasons)[number];

/**
 * Collects what a pump reads in pipes of its own: by tee(2) what is spliced, by write(2) what is
 * copied. Somebody else empties them.
 *
 * ```
 *   open ──a byte found no place──▶ cut
 *     └────────────release──────────┴──▶ released
 * ```
 *
 * It is cut for good at the first byte that it cannot take, so what comes out of its pipes is always a
 * beginning of the stream, never a stream with a gap.
 */
export class PipeTap implements PumpTap {
  /** Bytes taken by each path: together the length of the stream's beginning that was taken. */
  teedBytes = 0;
  copiedBytes = 0;
  /** Nothing while every byte has found its place. */
  cutBy: CutReason | undefined;
  /** The pipes that hold bytes, in their order: one, mostly. */
  private readonly pipes: Pipe[] = [];
  /** Pipes with bytes at their end that belong to nobody. */
  private readonly spoiled: Pipe[] = [];
  private capacityBytes = 0;
  private isOpen = true;

  /** @param bytesMax another pipe is taken while those there are have less capacity; 0: there is one only */
  constructor(
    private readonly room: PumpRoom,
    private readonly bytesMax = 0,
  ) {}

  get isCut(): boolean {
    return this.cutBy !== undefined;
  }

  /** Bytes taken so far, whether they wait in the pipes or have left them. */
  get bytes(): number {
    return this.teedBytes + this.copiedBytes;
  }

  /**
   * Where the first bytes are; nothing while there are none. Take `bytes` of them from its read end, and
   * count them down.
   */
  get pipe(): Pipe | undefined {
    // An empty one may come first: it would not take what went into the next.
    if (this.pipes.length > 1) this.settle();
    return this.pipes[0];
  }

  /** Bytes in the first pipe: none there, none anywhere. */
  get waitingBytes(): number {
    const { pipe } = this;
    return pipe === undefined ? 0 : pipe.bytes;
  }

  spliced(from: Pipe, bytes: number): void {
    if (!this.isOpen) return;
    let pipe = this.lastPipe();
    if (pipe === undefined) return;
    let teed = teePipe(this.room.kernel, from, pipe, bytes);
    if (this.isShort(teed, bytes) && pipe.bytes > Math.max(0, teed)) {
      // A second tee(2) would begin at the first byte again: what is there of these bytes is disowned.
      const next = this.anotherPipe();
      if (next !== undefined) {
        if (teed > 0) this.spoil(pipe, teed);
        pipe = next;
        teed = teePipe(this.room.kernel, from, pipe, bytes);
      }
    }
    if (teed > 0) this.teedBytes += teed;
    if (teed === bytes) return;
    if (this.isShort(teed, bytes)) this.cut('full');
    else this.cut(teed === Outcome.NotSpliceable ? 'refused' : 'failed');
  }

  copied(address: number, bytes: number): void {
    if (!this.isOpen) return;
    let pipe = this.lastPipe();
    for (let taken = 0; pipe !== undefined; pipe = this.anotherPipe()) {
      const wanted = bytes - taken;
      const written = this.room.kernel.write(pipe.writeEnd, address + taken, wanted);
      if (written > 0) {
        pipe.bytes += written;
        this.copiedBytes += written;
        taken += written;
      }
      if (taken === bytes) return;
      // A pipe with room for a part takes that (pipe(7), O_NONBLOCK).
      if (written < 0 && written !== -Errno.EAGAIN) {
        this.cut('failed');
        return;
      }
    }
    this.cut('full');
  }

  /** Gives empty pipes back: a tap on a quiet flow owns nothing. */
  settle(): void {
    while (this.pipes.length > 0 && this.pipes[0]!.bytes === 0) this.give(this.pipes.shift()!);
  }

  /** Takes no more bytes, and gives the pipes back with whatever is in them. */
  release(): void {
    this.isOpen = false;
    for (const pipe of this.pipes) this.give(pipe);
    this.pipes.length = 0;
  }

  private isShort(teed: number, bytes: number): boolean {
    return teed === Outcome.Blocked || (teed > 0 && teed < bytes);
  }

  /** The last `bytes` of a pipe are not to be taken from it. */
  private spoil(pipe: Pipe, bytes: number): void {
    pipe.bytes -= bytes;
    this.spoiled.push(pipe);
  }

  private lastPipe(): Pipe | undefined {
    if (this.pipes.length > 0) return this.pipes[this.pipes.length - 1];
    const pipe = this.takePipe();
    if (pipe === undefined) this.cut('no_pipe');
    return pipe;
  }

  private anotherPipe(): Pipe | undefined {
    return this.capacityBytes < this.bytesMax ? this.takePipe() : undefined;
  }

  private takePipe(): Pipe | undefined {
    const pipe = this.room.pipes.takeSpare(this.room.clock.nowMs);
    if (pipe === undefined) return undefined;
    this.pipes.push(pipe);
    this.capacityBytes += pipe.capacityBytes;
    return pipe;
  }

  private give(pipe: Pipe): void {
    this.capacityBytes -= pipe.capacityBytes;
    const at = this.spoiled.indexOf(pipe);
    if (at >= 0) {
      this.spoiled.splice(at, 1);
      // The pool keeps empty pipes only, and goes by this.
      pipe.bytes++;
    }
    this.room.pipes.give(pipe);
  }

  private cut(reason: CutReason): void {
    this.isOpen = false;
    this.cutBy ??= reason;
  }
}
