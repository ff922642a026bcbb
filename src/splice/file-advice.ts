import { File, SyscallNumber } from './constants.js';
import type { Kernel } from './kernel.js';

/** How a file is going to be read (posix_fadvise(2)). */
export type FileAdvice = 'normal' | 'random' | 'sequential' | 'willneed' | 'dontneed';

const advices: Readonly<Record<FileAdvice, number>> = {
  normal: File.POSIX_FADV_NORMAL,
  random: File.POSIX_FADV_RANDOM,
  sequential: File.POSIX_FADV_SEQUENTIAL,
  willneed: File.POSIX_FADV_WILLNEED,
  dontneed: File.POSIX_FADV_DONTNEED,
};

/**
 * Tells the kernel how a whole file is going to be read: `sequential` doubles its read-ahead,
 * `willneed` begins to read now, `dontneed` drops what is clean from the cache. Advice only.
 *
 * @returns 0, or a negative error number: ESPIPE for what is no file
 */
export function adviseFile(kernel: Kernel, fd: number, advice: FileAdvice): number {
  // Offset 0 and length 0: to the end, wherever that will be. posix_fadvise(3) of the C library
  // answers its error without errno; the call itself answers like every other.
  return kernel.syscall(SyscallNumber.fadvise64, fd, 0, 0, advices[advice]);
}
