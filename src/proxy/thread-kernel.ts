import {
  BufferPool,
  type CallBatch,
  createKernel,
  DescriptorLedger,
  type Kernel,
  type Libc,
  loadLibc,
  RingBatch,
  withLedger,
} from '../splice/index.js';
import type { Counters } from './counters.js';
import { EVENTS_MAX } from './event-loop.js';

/** Bytes one read may copy: what a TCP sender hands over in one piece is not read in two. */
const COPY_BUFFER_BYTES = 64 * 1024;

/** As {@link RingBatch.open}. */
type NewBatch = (...args: Parameters<typeof RingBatch.open>) => CallBatch | number;

/**
 * What the workers of one thread have from each other, one worker after the other. System calls: V8 knows which functions
 * they are for as long as there is one set of them. Copy buffers: low memory is never given back. Descriptors
 * are noted in the slot's ledger.
 */
export class ThreadKernel {
  readonly kernel: Kernel;
  /** All that a turn reads ahead has room in those that are kept: to make one costs more than the call it saves. */
  readonly buffers = new BufferPool(COPY_BUFFER_BYTES, EVENTS_MAX);
  /** Of the worker of the moment, where calls that fail are counted. */
  counters: Counters | undefined;
  private readonly ledger: DescriptorLedger;

  /**
   * @param descriptors memory of a {@link DescriptorLedger}
   * @param libc the C library; a test hands in one that injects faults
   * @param newBatch makes a batch of calls; a test hands in one whose calls go through its C library
   */
  constructor(
    descriptors: SharedArrayBuffer,
    libc: Libc = loadLibc(),
    private readonly newBatch: NewBatch = RingBatch.open,
  ) {
    const kernel = createKernel(libc, (syscall, errno) =>
      this.counters?.countError(syscall, errno),
    );
    this.ledger = new DescriptorLedger(descriptors);
    this.kernel = withLedger(kernel, this.ledger);
  }

  /**
   * For calls of one worker that are made together.
   * @returns a negative error number where the kernel has no such thing, or does not let us: see {@link RingBatch.open}
   */
  openBatch(capacity: number): CallBatch | number {
    return this.newBatch(
      this.kernel,
      capacity,
      (syscall, errno) => this.counters?.countError(syscall, errno),
      (fd) => this.ledger.closing(fd),
    );
  }

  /** Closes what workers of this thread have opened and not closed. @returns how many descriptors that was */
  closeRest(): number {
    return this.ledger.closeOwn(this.kernel);
  }
}
