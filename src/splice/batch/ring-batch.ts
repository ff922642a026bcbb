import { IoUring, Socket } from '../constants.js';
import { Errno } from '../errno.js';
import type { FailureObserver, Kernel } from '../kernel.js';
import { type CallBatch, RECEIVE_FLAGS, SEND_FLAGS } from './call-batch.js';
import { Ring, type RingOperation } from './ring.js';

const { IORING_OP_CLOSE, IORING_OP_RECV, IORING_OP_SEND } = IoUring;

const nameOf = {
  [IORING_OP_RECV]: 'recv',
  [IORING_OP_SEND]: 'send',
  [IORING_OP_CLOSE]: 'close',
} as const;

/**
 * A batch that costs one system call, by io_uring(7). Koffi's price of a call is paid once as well, and the kernel's
 * of coming and going: docs/benchmarks.md has the numbers.
 */
export class RingBatch implements CallBatch {
  size = 0;
  readonly worthFrom = 2;
  private readonly places: Int32Array;
  private readonly results: Int32Array;
  /** Calls of the last run that the ring made: of failures of the others the kernel's own observer was told. */
  private made = 0;

  private constructor(
    private readonly kernel: Kernel,
    private readonly ring: Ring,
    readonly capacity: number,
    private readonly onFailure: FailureObserver | undefined,
    private readonly onClosing: ((fd: number) => void) | undefined,
  ) {
    this.places = new Int32Array(capacity);
    this.results = new Int32Array(capacity);
  }

  /**
   * @param capacity a power of two
   * @param onClosing hears of descriptors that the kernel's own `close` does not see
   * @returns a negative error number where the kernel has no such thing, or does not let us: see {@link Ring.open};
   *   EOPNOTSUPP where a call that finds nothing is not over at once, is unknown (before Linux 5.6) or not made at all
   */
  static open(
    kernel: Kernel,
    capacity: number,
    onFailure?: FailureObserver,
    onClosing?: (fd: number) => void,
  ): RingBatch | number {
    const ring = Ring.open(kernel, capacity);
    if (typeof ring === 'number') return ring;
    const batch = new RingBatch(kernel, ring, capacity, onFailure, onClosing);
    const result = batch.probe();
    if (result >= 0) return batch;
    batch.close();
    return result;
  }

  recv(fd: number, address: number, length: number): number {
    return this.add(IORING_OP_RECV, fd, address, length, RECEIVE_FLAGS);
  }

  send(fd: number, address: number, length: number): number {
    return this.add(IORING_OP_SEND, fd, address, length, SEND_FLAGS);
  }

  closeSocket(fd: number): number {
    this.onClosing?.(fd);
    return this.add(IORING_OP_CLOSE, fd, 0, 0, 0);
  }

  withdraw(call: number): void {
    this.ring.withdraw(this.places[call]!);
  }

  run(): number {
    const { size } = this;
    this.size = 0;
    this.made = this.ring.submit(this.results);
    if (this.made < size) this.makeRest(this.made, size);
    return size;
  }

  resultOf(call: number): number {
    const result = this.results[call]!;
    if (result < 0 && result !== -Errno.EAGAIN && call < this.made) this.failed(call, -result);
    return result;
  }

  close(): void {
    this.ring.close();
  }

  private add(
    operation: RingOperation,
    fd: number,
    address: number,
    length: number,
    flags: number,
  ): number {
    const call = this.size++;
    this.places[call] = this.ring.queue(operation, fd, address, length, flags, call);
    return call;
  }

  /** Without memory for them in the ring, the calls are made one by one. */
  private makeRest(from: number, size: number): void {
    const { kernel, ring, results } = this;
    for (let call = from; call < size; call++) {
      const { operation, fd, address, length, flags } = ring.entryAt(this.places[call]!);
      if (operation === IORING_OP_RECV) results[call] = kernel.recv(fd, address, length, flags);
      else if (operation === IORING_OP_SEND)
        results[call] = kernel.send(fd, address, length, flags);
      else if (operation === IORING_OP_CLOSE) results[call] = kernel.close(fd);
      else results[call] = 0;
    }
  }

  private failed(call: number, errno: number): void {
    const { operation } = this.ring.entryAt(this.places[call]!);
    this.onFailure?.(nameOf[operation as RingOperation], errno);
  }

  /** Nobody writes to a socket of datagrams that has no name: a read finds nothing. @returns 0, or why it will not do */
  private probe(): number {
    const { kernel, results } = this;
    const fd = kernel.socket(Socket.AF_UNIX, Socket.SOCK_DGRAM | Socket.SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    this.recv(fd, 0, 0);
    this.run();
    kernel.close(fd);
    const isMade = this.made === 1 && results[0] === -Errno.EAGAIN;
    return isMade ? 0 : -Errno.EOPNOTSUPP;
  }
}
