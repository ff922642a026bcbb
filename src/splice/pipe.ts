import { Splice } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import type { NativeMemory } from './memory.js';

/** A pipe as a place for bytes on their way from one socket to another. */
export class Pipe {
  /**
   * Bytes inside. May exceed {@link capacityBytes}: the kernel counts a pipe's slots, not its
   * bytes, and with receive offload one slot can hold more than a page.
   */
  bytes = 0;
  /** A pool has it, to give to somebody else. */
  isPooled = false;

  /**
   * @param readEnd −1 once it is closed; so is `writeEnd`
   * @param capacityBytes what F_GETPIPE_SZ said, not what was asked for
   */
  constructor(
    private readonly kernel: Kernel,
    public readEnd: number,
    public writeEnd: number,
    readonly capacityBytes: number,
  ) {}

  /** Gives both descriptors back, once, however often it is called; what is inside is lost. */
  close(): void {
    if (this.readEnd < 0) return;
    this.kernel.close(this.readEnd);
    this.kernel.close(this.writeEnd);
    // Their numbers may be somebody else's by the next call, which is to get EBADF.
    this.readEnd = -1;
    this.writeEnd = -1;
    this.bytes = 0;
  }
}

/**
 * Opens a non-blocking pipe and asks for a size.
 *
 * The answer of F_SETPIPE_SZ is not believed: above `/proc/sys/fs/pipe-max-size` it is EPERM, and
 * past `pipe-user-pages-soft` a new pipe is one page long whatever is asked (pipe(7)).
 *
 * @param capacityBytes size to ask for
 * @param scratch 8 bytes at least, for the two descriptors
 * @returns the pipe, or the negative error number of pipe2(2): EMFILE or ENFILE, mostly
 */
export function openPipe(
  kernel: Kernel,
  capacityBytes: number,
  scratch: NativeMemory,
): Pipe | number {
  const result = kernel.pipe2(scratch.address, Splice.O_NONBLOCK | Splice.O_CLOEXEC);
  if (result < 0) return result;
  const readEnd = scratch.bytes.readInt32LE(0);
  const writeEnd = scratch.bytes.readInt32LE(4);
  kernel.fcntl(writeEnd, Splice.F_SETPIPE_SZ, capacityBytes);
  const actual = kernel.fcntl(writeEnd, Splice.F_GETPIPE_SZ, 0);
  if (actual < 0) {
    kernel.close(readEnd);
    kernel.close(writeEnd);
    return actual;
  }
  return new Pipe(kernel, readEnd, writeEnd, actual);
}

/** True for the answers by which a kernel, a file or a seccomp filter says "not with splice". */
export function isSpliceRefusal(errno: number): boolean {
  return (
    errno === Errno.EINVAL ||
    errno === Errno.ENOSYS ||
    errno === Errno.EOPNOTSUPP ||
    errno === Errno.EPERM
  );
}
