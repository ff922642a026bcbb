import { constants } from 'node:os';

/**
 * The error numbers the data path decides by.
 * Source: include/uapi/asm-generic/errno-base.h and errno.h (the same on x86-64, arm64 and riscv64).
 */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EBUSY: 16,
  EXDEV: 18,
  EEXIST: 17,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EPIPE: 32,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  EPROTO: 71,
  EBADMSG: 74,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTDOWN: 112,
  EHOSTUNREACH: 113,
  EINPROGRESS: 115,
  EKEYEXPIRED: 127,
} as const;

const names = new Map<number, string>();
for (const [name, value] of [...Object.entries(Errno), ...Object.entries(constants.errno)]) {
  if (!names.has(value)) names.set(value, name);
}

/** The kernel's name of an error number, `E<number>` for one that has none here; a {@link Kernel} result will do, too. */
export function errnoName(errno: number): string {
  const number = Math.abs(errno);
  return names.get(number) ?? `E${number}`;
}

/**
 * A system call that failed where failure is not an everyday outcome: at start-up, or in a call
 * that can only fail through a bug. The data path never throws it; there, errors are values.
 */
export class SystemCallError extends Error {
  readonly code: string;

  /**
   * @param syscall the call's name, as in the manual
   * @param errno positive error number
   * @param subject what the call was about: an address, a path, an option
   */
  constructor(
    readonly syscall: string,
    readonly errno: number,
    readonly subject = '',
  ) {
    super(`${syscall}${subject === '' ? '' : ` ${subject}`}: ${errnoName(errno)}`);
    this.name = 'SystemCallError';
    this.code = errnoName(errno);
  }
}

/**
 * Passes a kernel result on, or throws what it says.
 *
 * @param result what a {@link Kernel} call returned: ≥ 0, or a negative error number
 * @throws SystemCallError when the result is negative
 */
export function orThrow(result: number, syscall: string, subject?: string): number {
  if (result < 0) throw new SystemCallError(syscall, -result, subject);
  return result;
}
