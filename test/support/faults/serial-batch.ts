import { Errno, type Kernel, SerialBatch } from '#src/splice/index.js';

/** For a worker whose C library is not the real one: calls made together go through it one by one, from the first. */
export function serialBatch(kernel: Kernel, capacity: number): SerialBatch {
  return new SerialBatch(kernel, capacity);
}

/** As where io_uring(7) is forbidden. */
export function noBatch(): number {
  return -Errno.EPERM;
}
