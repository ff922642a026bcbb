import { Errno } from './errno.js';
import { fileStatus } from './file-status.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { requireWhole } from './whole-number.js';

/** Which way a file's bytes went, from the cheapest to the one that always works. */
export type FileCopyPath = 'copy_file_range' | 'sendfile' | 'copy';

/** What {@link copyFile} has done. */
export interface FileCopied {
  /** Bytes copied; fewer than asked for where the source ended. */
  readonly bytes: number;
  /** The path the last of them took. */
  readonly path: FileCopyPath;
}

/** Which part of a file {@link copyFile} takes, and where it goes. */
export interface FileCopyOptions {
  /** Where to begin in either file; 0 unless told. */
  readonly fromOffset?: number;
  readonly toOffset?: number;
  /** Bytes; all there are unless told. */
  readonly length?: number;
}

/** One call's worth: the kernel stops a page short of 2 GiB anyway (MAX_RW_COUNT). */
const CALL_BYTES_MAX = 1024 * 1024 * 1024;
const BUFFER_BYTES = 256 * 1024;
const SEEK_SET = 0;

/**
 * Copies a file, or a part of it, into another without a byte in userland where the kernel can: by
 * copy_file_range(2), which a filesystem with reflinks answers by sharing the blocks; else by
 * sendfile(2); else through a buffer. Files block: this is not for an event loop.
 *
 * @param from a regular file, open for reading
 * @param to a regular file, open for writing, not O_APPEND; its position is undefined afterwards
 * @returns what was copied, or a negative error number: ENOSPC, EIO, EBADF (also for O_APPEND), EINVAL where both are
 *   the same file and the parts overlap
 * @throws RangeError when an offset or the length is no whole number ≥ 0
 */
export function copyFile(
  kernel: Kernel,
  from: number,
  to: number,
  options: FileCopyOptions = {},
): FileCopied | number {
  const { fromOffset = 0, toOffset = 0 } = options;
  requireWhole('fromOffset', fromOffset);
  requireWhole('toOffset', toOffset);
  const length = lengthOf(kernel, from, to, options);
  if (length < 0) return length;
  const copy = new FileCopy(kernel, from, to);
  while (copy.bytes < length) {
    const wanted = Math.min(length - copy.bytes, CALL_BYTES_MAX);
    const moved = copy.move(fromOffset + copy.bytes, toOffset + copy.bytes, wanted);
    if (moved === 0) break;
    if (moved > 0) copy.bytes += moved;
    else if (!copy.fallBack(-moved)) return moved;
  }
  return { bytes: copy.bytes, path: copy.path };
}

/**
 * Bytes to copy. Within one file it is decided now: a copy that is put behind its source would go on with what it
 * has just written, for ever.
 *
 * @returns Infinity for all there are, or a negative error number
 */
function lengthOf(kernel: Kernel, from: number, to: number, options: FileCopyOptions): number {
  const { fromOffset = 0, toOffset = 0, length = Number.POSITIVE_INFINITY } = options;
  if (length !== Number.POSITIVE_INFINITY) requireWhole('length', length);
  const source = fileStatus(kernel, from);
  const target = fileStatus(kernel, to);
  // Where they cannot be looked at, the copy itself says why.
  if (typeof source === 'number' || typeof target === 'number') return length;
  if (source.inode !== target.inode || source.device !== target.device) return length;
  const there = Math.min(length, Math.max(0, source.size - fromOffset));
  return Math.abs(fromOffset - toOffset) < there ? -Errno.EINVAL : there;
}

class FileCopy {
  bytes = 0;
  path: FileCopyPath = 'copy_file_range';
  readonly offsets = new NativeMemory(16);
  private buffer: NativeMemory | undefined;

  constructor(
    readonly kernel: Kernel,
    readonly from: number,
    readonly to: number,
  ) {}

  move(fromOffset: number, toOffset: number, length: number): number {
    const { kernel, from, to, offsets } = this;
    offsets.bytes.writeBigInt64LE(BigInt(fromOffset), 0);
    offsets.bytes.writeBigInt64LE(BigInt(toOffset), 8);
    const { address } = offsets;
    switch (this.path) {
      case 'copy_file_range':
        return kernel.copy_file_range(from, address, to, address + 8, length);
      case 'sendfile': {
        // Only the source's offset can be said.
        const position = kernel.lseek(to, toOffset, SEEK_SET);
        return position < 0 ? position : kernel.sendfile(to, from, address, length);
      }
      case 'copy':
        return this.copy(fromOffset, toOffset, length);
    }
  }

  /** Goes on by the next path, if the error says that this one does not lead there. */
  fallBack(errno: number): boolean {
    if (this.path === 'copy' || !isPathRefusal(errno)) return false;
    this.path = this.path === 'copy_file_range' ? 'sendfile' : 'copy';
    return true;
  }

  private copy(fromOffset: number, toOffset: number, length: number): number {
    const { kernel, from, to } = this;
    this.buffer ??= new NativeMemory(BUFFER_BYTES);
    const { address } = this.buffer;
    const read = kernel.pread(from, address, Math.min(length, BUFFER_BYTES), fromOffset);
    if (read <= 0) return read;
    for (let written = 0; written < read; ) {
      const result = kernel.pwrite(to, address + written, read - written, toOffset + written);
      if (result < 0) return result;
      written += result;
    }
    return read;
  }
}

/** Other filesystems, other kinds of files, older kernels, a seccomp filter (copy_file_range(2), "ERRORS"). */
function isPathRefusal(errno: number): boolean {
  return (
    errno === Errno.EXDEV ||
    errno === Errno.EINVAL ||
    errno === Errno.ENOSYS ||
    errno === Errno.EOPNOTSUPP ||
    errno === Errno.EPERM
  );
}
