// As much of io_uring(7) as a trial needs: requests that splice, submitted and waited for in one call. By the layout of
// include/uapi/linux/io_uring.h; the package itself has no use for it (docs/benchmarks.md).
import koffi from 'koffi';
import { Errno, errnoName, Splice } from '#src/splice/index.js';

/** The same on all architectures. */
const SYS_IO_URING_SETUP = 425;
const SYS_IO_URING_ENTER = 426;
const IORING_OFF_SQ_RING = 0;
const IORING_OFF_SQES = 0x10000000;
const IORING_FEAT_SINGLE_MMAP = 1;
const IORING_ENTER_GETEVENTS = 1;
const IORING_OP_SPLICE = 30;
/** The next request begins when this one is over, whatever became of it. */
const IOSQE_IO_HARDLINK = 8;
const PARAMS_BYTES = 120;
/** Of struct io_uring_params, and in it of the offsets of either queue. */
const Params = { sqEntries: 0, cqEntries: 4, features: 20, sqOff: 40, cqOff: 80 } as const;
const SqOff = { tail: 4, mask: 8, array: 24 } as const;
const CqOff = { head: 0, tail: 4, mask: 8, cqes: 20 } as const;
/** Of struct io_uring_sqe. */
const Sqe = {
  flags: 1,
  fd: 4,
  off: 8,
  spliceOffIn: 16,
  len: 24,
  spliceFlags: 28,
  userData: 32,
  spliceFdIn: 44,
} as const;
const SQE_BYTES = 64;
const CQE_BYTES = 16;
const FLAGS = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;
const NO_OFFSET = 0xffffffffffffffffn;
// asm-generic/mman-common.h
const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;

const c = koffi.load(null);
const syscall = c.func('long syscall(long, uint, uintptr_t, uint, uint, uintptr_t, size_t)');
const mmap = c.func('long mmap(uintptr_t, size_t, int, int, int, long)');

export class Ring {
  /** Calls of io_uring_enter(2). */
  calls = 0;
  /** Both queues: their heads and tails, the indices of the one, the answers of the other. */
  private readonly queues: DataView;
  private readonly requests: DataView;
  /** Where in the queues: what the kernel has said at the beginning. */
  private readonly at: Record<
    'sqTail' | 'sqMask' | 'sqArray' | 'cqHead' | 'cqTail' | 'cqMask' | 'cqes',
    number
  >;
  private queued = 0;

  private constructor(
    private readonly fd: number,
    params: DataView,
  ) {
    const said = (offset: number) => params.getUint32(offset, true);
    const { sqEntries, cqEntries, sqOff, cqOff } = Params;
    this.at = {
      sqTail: said(sqOff + SqOff.tail),
      sqMask: said(sqOff + SqOff.mask),
      sqArray: said(sqOff + SqOff.array),
      cqHead: said(cqOff + CqOff.head),
      cqTail: said(cqOff + CqOff.tail),
      cqMask: said(cqOff + CqOff.mask),
      cqes: said(cqOff + CqOff.cqes),
    };
    const { sqArray, cqes } = this.at;
    const [submission, completion] = [
      sqArray + said(sqEntries) * 4,
      cqes + said(cqEntries) * CQE_BYTES,
    ];
    this.queues = map(fd, IORING_OFF_SQ_RING, Math.max(submission, completion));
    this.requests = map(fd, IORING_OFF_SQES, said(sqEntries) * SQE_BYTES);
  }

  /** @returns a ring, or why there is none: io_uring is often forbidden */
  static open(entries: number): Ring | string {
    const params = new DataView(new ArrayBuffer(PARAMS_BYTES));
    const bytes = new Uint8Array(params.buffer);
    const fd: number = syscall(SYS_IO_URING_SETUP, entries, addressOf(bytes), 0, 0, 0, 0);
    if (fd < 0) return errnoName(koffi.errno());
    if ((params.getUint32(Params.features, true) & IORING_FEAT_SINGLE_MMAP) === 0) {
      return 'a kernel before 5.4';
    }
    return new Ring(fd, params);
  }

  /** Queues a splice(2) of what is there. @param isLinked the next one waits for it */
  splice(from: number, to: number, length: number, isLinked: boolean): void {
    const { sqTail, sqMask, sqArray } = this.at;
    const tail = this.word(sqTail);
    const index = tail & this.word(sqMask);
    const at = index * SQE_BYTES;
    const requests = this.requests;
    for (let offset = 0; offset < SQE_BYTES; offset += 8) {
      requests.setBigUint64(at + offset, 0n, true);
    }
    requests.setUint8(at, IORING_OP_SPLICE);
    requests.setUint8(at + Sqe.flags, isLinked ? IOSQE_IO_HARDLINK : 0);
    requests.setInt32(at + Sqe.fd, to, true);
    requests.setBigUint64(at + Sqe.off, NO_OFFSET, true);
    requests.setBigUint64(at + Sqe.spliceOffIn, NO_OFFSET, true);
    requests.setUint32(at + Sqe.len, length, true);
    requests.setUint32(at + Sqe.spliceFlags, FLAGS, true);
    requests.setUint32(at + Sqe.userData, this.queued++, true);
    requests.setInt32(at + Sqe.spliceFdIn, from, true);
    this.queues.setUint32(sqArray + index * 4, index, true);
    this.queues.setUint32(sqTail, tail + 1, true);
  }

  /** Submits what was queued and waits for all of it. @returns the results, in the order of the requests */
  run(): number[] {
    const results = new Array<number>(this.queued);
    this.enter();
    const { cqHead, cqTail, cqMask, cqes } = this.at;
    let head = this.word(cqHead);
    for (let count = 0; count < results.length; count++) {
      if (head === this.word(cqTail)) throw new Error('a completion is missing');
      const at = cqes + (head & this.word(cqMask)) * CQE_BYTES;
      results[this.word(at)] = this.queues.getInt32(at + 8, true);
      head = (head + 1) >>> 0;
    }
    this.queues.setUint32(cqHead, head, true);
    return results;
  }

  private enter(): void {
    for (let left = this.queued; left > 0; ) {
      this.calls++;
      const flags = IORING_ENTER_GETEVENTS;
      const result: number = syscall(SYS_IO_URING_ENTER, this.fd, left, this.queued, flags, 0, 0);
      if (result < 0 && koffi.errno() !== Errno.EINTR) {
        throw new Error(`io_uring_enter: ${errnoName(koffi.errno())}`);
      }
      left -= Math.max(0, result);
    }
    this.queued = 0;
  }

  private word(at: number): number {
    return this.queues.getUint32(at, true);
  }
}

/** @throws Error */
function map(fd: number, offset: number, length: number): DataView {
  const address: number = mmap(0, length, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
  if (address === -1) throw new Error(`mmap: ${errnoName(koffi.errno())}`);
  return new DataView(koffi.view(BigInt(address), length));
}

function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}
