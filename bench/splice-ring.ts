// Splices asked for together and waited for, by io_uring(7). The package's own ring (src/splice/batch) is for calls that are
// over at once; a splice is not: the kernel hands each to a thread of its own (docs/benchmarks.md).
import { openRingMemory, type RingMemory } from '#src/splice/batch/ring-memory.js';
import {
  Errno,
  errnoName,
  IoUring,
  IoUringCqe,
  IoUringParams,
  IoUringSqe,
  type Kernel,
  orThrow,
  Splice,
} from '#src/splice/index.js';

// linux/io_uring.h, what only splices need of it.
const IORING_OP_SPLICE = 30;
/** In the second byte of an entry: the next one begins when this one is over, whatever became of it. */
const IOSQE_IO_HARDLINK = 8 << 8;
/** Of struct io_uring_sqe, the rest of which is as for other calls. */
const SpliceSqe = { offsetOut: 8, offsetIn: IoUringSqe.address, fdIn: 44 } as const;
const FLAGS = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;

export class SpliceRing {
  private queued = 0;
  /** Heads, tails, indices and answers, in words. */
  private readonly queues: Int32Array;
  private readonly entries: Int32Array;

  private constructor(
    private readonly kernel: Kernel,
    private readonly memory: RingMemory,
  ) {
    this.queues = new Int32Array(memory.queues.buffer);
    this.entries = new Int32Array(memory.submissions.buffer);
  }

  /** @returns a ring, or why there is none: io_uring is often forbidden */
  static open(kernel: Kernel, capacity: number): SpliceRing | string {
    const memory = openRingMemory(kernel, capacity);
    if (typeof memory !== 'number') return new SpliceRing(kernel, memory);
    return memory === -Errno.EINVAL ? 'a kernel before 5.4' : errnoName(-memory);
  }

  /** Queues a splice(2) of what is there. @param isLinked the next one waits for it */
  splice(from: number, to: number, length: number, isLinked: boolean): void {
    const { entries, queues } = this;
    const { said } = this.memory;
    const tailAt = said(IoUringParams.sqTail) / 4;
    const tail = queues[tailAt]!;
    const index = tail & (said(IoUringParams.sqEntries) - 1);
    const place = (index * IoUringSqe.size) / 4;
    entries.fill(0, place, place + IoUringSqe.size / 4);
    const put = (offset: number, ...words: number[]) => entries.set(words, place + offset / 4);
    put(IoUringSqe.opcode, IORING_OP_SPLICE | (isLinked ? IOSQE_IO_HARDLINK : 0));
    put(IoUringSqe.fd, to);
    // Neither a pipe nor a socket has an offset: −1.
    put(SpliceSqe.offsetOut, -1, -1);
    put(SpliceSqe.offsetIn, -1, -1);
    put(IoUringSqe.length, length);
    put(IoUringSqe.flags, FLAGS);
    put(IoUringSqe.userData, this.queued++);
    put(SpliceSqe.fdIn, from);
    queues[said(IoUringParams.sqArray) / 4 + index] = index;
    queues[tailAt] = tail + 1;
  }

  /** Submits what was queued and waits for all of it. @returns the results, in the order of the requests */
  run(): number[] {
    const { kernel, queues, queued } = this;
    const { fd, said } = this.memory;
    const results = new Array<number>(queued);
    for (let left = queued; left > 0; ) {
      const entered = kernel.io_uring_enter(fd, left, queued, IoUring.IORING_ENTER_GETEVENTS);
      left -= orThrow(entered, 'io_uring_enter');
    }
    this.queued = 0;
    const headAt = said(IoUringParams.cqHead) / 4;
    let head = queues[headAt]!;
    for (let count = 0; count < queued; count++) {
      if (head === queues[said(IoUringParams.cqTail) / 4])
        throw new Error('a completion is missing');
      const index = head & (said(IoUringParams.cqEntries) - 1);
      const at = (said(IoUringParams.cqes) + index * IoUringCqe.size) / 4;
      results[queues[at]!] = queues[at + IoUringCqe.result / 4]!;
      head = (head + 1) | 0;
    }
    queues[headAt] = head;
    return results;
  }
}
