import { File } from './constants.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { Statx } from './structs.js';

/** What a file is, as far as serving it needs to know. */
export interface FileStatus {
  readonly isRegular: boolean;
  readonly isDirectory: boolean;
  /** Bytes. */
  readonly size: number;
  /** When the content was last changed, seconds since 1970 and nanoseconds. */
  readonly modifiedSec: number;
  readonly modifiedNsec: number;
  /** Together these say which file it is, as long as somebody has it open. */
  readonly device: string;
  readonly inode: bigint;
}

const answer = new NativeMemory(Statx.size);
const emptyPath = new NativeMemory(1);

/** What {@link look} saw last, as 32-bit words. */
export const statusWords = new Int32Array(answer.bytes.buffer, 0, Statx.size / 4);

/**
 * Looks at an open file (statx(2), Linux 4.11).
 *
 * @param fd any descriptor, O_PATH too
 * @returns its status, or a negative error number
 */
export function fileStatus(kernel: Kernel, fd: number): FileStatus | number {
  const result = look(kernel, fd);
  return result < 0 ? result : lastStatus();
}

/** The same, for whoever reads the words. @returns 0, or a negative error number */
export function look(kernel: Kernel, fd: number): number {
  const { AT_EMPTY_PATH, STATX_BASIC_STATS } = File;
  return kernel.statx(fd, emptyPath.address, AT_EMPTY_PATH, STATX_BASIC_STATS, answer.address);
}

/** What {@link look} saw last. */
export function lastStatus(): FileStatus {
  const { bytes } = answer;
  const kind = bytes.readUInt16LE(Statx.mode) & File.S_IFMT;
  return {
    isRegular: kind === File.S_IFREG,
    isDirectory: kind === File.S_IFDIR,
    size: Number(bytes.readBigUInt64LE(Statx.fileSize)),
    modifiedSec: Number(bytes.readBigInt64LE(Statx.modifiedSec)),
    modifiedNsec: bytes.readUInt32LE(Statx.modifiedNsec),
    device: `${bytes.readUInt32LE(Statx.deviceMajor)}:${bytes.readUInt32LE(Statx.deviceMinor)}`,
    inode: bytes.readBigUInt64LE(Statx.inode),
  };
}
