import { Errno, FileStamp, type Kernel, openBeneath, openDirectory } from '../../splice/index.js';

/** A rename somewhere below raced with the look-up, and the kernel could not tell whether it led out (openat2(2)). */
const TRIES_MAX = 8;

/** Whether a look-up failed for want of something that has nothing to do with what was looked for. */
export function isShortage(errno: number): boolean {
  const { EMFILE, ENFILE, ENOMEM, EAGAIN } = Errno;
  return errno === EMFILE || errno === ENFILE || errno === ENOMEM || errno === EAGAIN;
}

/**
 * A directory that files are served from. Its path is resolved anew from time to time: deploying by moving a
 * symlink must not need a reload.
 */
export class RootDirectory {
  /** Another number for another directory: what was found below the one before means nothing. */
  generation = 0;
  private fd = -1;
  /** Why there is none; a negative error number. */
  private error = -Errno.ENOENT;
  private stamp = new FileStamp();
  private resolvedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly kernel: Kernel,
    private readonly path: string,
  ) {}

  /** @param nowMs monotonic @param maxAgeMs how long ago its path may have been resolved */
  refresh(nowMs: number, maxAgeMs: number): void {
    if (nowMs - this.resolvedMs < maxAgeMs) return;
    this.resolvedMs = nowMs;
    const { kernel } = this;
    const fd = openDirectory(kernel, this.path);
    const stamp = new FileStamp();
    const taken = fd < 0 ? fd : stamp.take(kernel, fd);
    if (typeof taken === 'number') {
      if (fd >= 0) kernel.close(fd);
      // It was not looked up: it is most likely what it was.
      if (this.fd >= 0 && isShortage(-taken)) return;
      this.drop();
      this.error = taken;
      return;
    }
    if (this.fd >= 0 && stamp.isSameFile(this.stamp)) {
      kernel.close(fd);
      return;
    }
    this.drop();
    this.fd = fd;
    this.stamp = stamp;
  }

  /**
   * Opens what is below, wherever symlinks in between lead, as long as that is below, too.
   *
   * @param path begins with a slash, which is the directory itself; a character per byte
   * @returns a descriptor, or a negative error number
   */
  open(path: string, flags: number): number {
    if (this.fd < 0) return this.error;
    const bytes = Buffer.from(path === '/' ? '.' : path.slice(1), 'latin1');
    for (let tries = 1; ; tries++) {
      const result = openBeneath(this.kernel, this.fd, bytes, flags);
      if (result !== -Errno.EAGAIN || tries === TRIES_MAX) return result;
    }
  }

  /** Who asks again opens it anew. */
  close(): void {
    this.drop();
    this.resolvedMs = Number.NEGATIVE_INFINITY;
  }

  private drop(): void {
    if (this.fd < 0) return;
    this.kernel.close(this.fd);
    this.fd = -1;
    this.error = -Errno.ENOENT;
    this.generation++;
  }
}
