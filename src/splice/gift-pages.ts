import { Misc, Splice } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { isSpliceRefusal, type Pipe } from './pipe.js';
import { Iovec } from './structs.js';
import { Outcome } from './transport.js';
import { requireWhole } from './whole-number.js';

const iovec = new NativeMemory(Iovec.size);

/** The largest page of the machines Node runs on: arm64 and ppc64 may have 64 KiB. */
const PAGE_BYTES_MAX = 65536;

/** Memory that a pipe may refer to although the kernel would not take it from us: kept for good. */
const lost: NativeMemory[] = [];

function vmsplice(
  kernel: Kernel,
  pipe: Pipe,
  address: number,
  length: number,
  flags: number,
): number {
  iovec.bytes.writeBigUInt64LE(BigInt(address), Iovec.base);
  iovec.bytes.writeBigUInt64LE(BigInt(length), Iovec.length);
  const result = kernel.vmsplice(pipe.writeEnd, iovec.address, 1, flags | Splice.SPLICE_F_NONBLOCK);
  if (result >= 0) {
    pipe.bytes += result;
    return result;
  }
  if (result === -Errno.EAGAIN) return Outcome.Blocked;
  return isSpliceRefusal(-result) ? Outcome.NotSpliceable : Outcome.Failed;
}

/**
 * Puts memory into a pipe by reference (vmsplice(2)). The pipe, and the socket it is spliced to,
 * read the memory when they get to it: it **must not change, and must stay reachable, until the
 * receiver has consumed the bytes**, which over TCP means acknowledged, and which nothing announces.
 * So this is for constants, prebuilt heads and the like. For anything else there is
 * {@link GiftPages}, and `write`, which copies.
 *
 * @param memory kept by the caller
 * @returns bytes lent, at most `length`; Blocked when the pipe is full; NotSpliceable, Failed
 * @throws RangeError when the part is empty or not all inside `memory`
 */
export function lendToPipe(
  kernel: Kernel,
  pipe: Pipe,
  memory: NativeMemory,
  offset = 0,
  length = memory.byteLength - offset,
): number {
  const address = memory.addressOf(offset, length);
  requireWhole('length', length, 1);
  return vmsplice(kernel, pipe, address, length, 0);
}

/**
 * Pages to fill and give away: no copy is made, and nobody has to wait for the receiver.
 *
 * ```
 *   fill ──▶ give (vmsplice, SPLICE_F_GIFT) ──▶ the pipe owns the pages
 *    ▲                                             │
 *    └──── fresh zero pages at the same address ◀──┘ madvise(MADV_DONTNEED)
 * ```
 *
 * After vmsplice(2) the pages are still mapped here, and a later write would change what the pipe
 * holds: SPLICE_F_GIFT is a promise not to, not a lock. So the mapping is let go of (what munmap(2)
 * does, without giving up the addresses): the pipe keeps the pages, this object gets new ones.
 * The page faults of the new ones are the price, and on the machines measured it was above that of
 * a copy at every size (docs/benchmarks.md): measure before you choose this over write.
 */
export class GiftPages {
  /** To be filled from the beginning; zeros again after each {@link give}. */
  readonly bytes: Buffer;
  readonly address: number;
  private readonly memory: NativeMemory;
  private isLost = false;

  /**
   * @param byteLength ≥ 1, rounded up to whole pages
   * @throws RangeError
   */
  constructor(
    private readonly kernel: Kernel,
    byteLength: number,
  ) {
    requireWhole('byteLength', byteLength, 1);
    const whole = Math.ceil(byteLength / PAGE_BYTES_MAX) * PAGE_BYTES_MAX;
    // Whole pages inside memory of Node's: private and anonymous, as MADV_DONTNEED needs it.
    this.memory = new NativeMemory(whole + PAGE_BYTES_MAX);
    this.address = Math.ceil(this.memory.address / PAGE_BYTES_MAX) * PAGE_BYTES_MAX;
    const start = this.address - this.memory.address;
    this.bytes = this.memory.bytes.subarray(start, start + whole);
  }

  /**
   * Gives the first bytes away. All or nothing: they go into an empty pipe with a slot for every
   * page, or not at all.
   *
   * @param length bytes, from 1 to all there are
   * @returns `length`; Blocked when the pipe holds something or is too small; NotSpliceable; Failed,
   *   after which the object is of no use any more
   * @throws RangeError for another length
   */
  give(pipe: Pipe, length: number): number {
    requireWhole('length', length, 1, this.bytes.byteLength);
    if (this.isLost) return Outcome.Failed;
    if (pipe.bytes > 0 || length > pipe.capacityBytes) return Outcome.Blocked;
    const given = vmsplice(this.kernel, pipe, this.address, length, Splice.SPLICE_F_GIFT);
    if (given <= 0) return given;
    const { byteLength } = this.bytes;
    const released = this.kernel.madvise(this.address, byteLength, Misc.MADV_DONTNEED);
    if (released >= 0 && given === length) return given;
    // Locked memory (mlockall) cannot be let go of. The pipe has bytes that nobody must change.
    this.isLost = true;
    lost.push(this.memory);
    return Outcome.Failed;
  }
}
