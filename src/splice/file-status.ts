import { File } from './constants.js';
import { NativeMemory } from './memory.js';
import { Statx } from './structs.js';
import type { Kernel } from './syscalls.js';

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

/**
 * Looks at an open file (statx(2), Linux 4.11).
 *
 * @param fd any descriptor, O_PATH too
 * @returns its status, or a negative error number
 */
export function fileStatus(kernel: Kernel, fd: number): FileStatus | number {
  const { AT_EMPTY_PATH, STATX_BASIC_STATS, S_IFMT, S_IFREG, S_IFDIR } = File;
  const { bytes, address } = answer;
  const result = kernel.statx(fd, emptyPath.address, AT_EMPTY_PATH, STATX_BASIC_STATS, address);
  if (result < 0) return result;
  const kind = bytes.readUInt16LE(Statx.mode) & S_IFMT;
  return {
    isRegular: kind === S_IFREG,
    isDirectory: kind === S_IFDIR,
    size: Number(bytes.readBigUInt64LE(Statx.fileSize)),
    modifiedSec: Number(bytes.readBigInt64LE(Statx.modifiedSec)),
    modifiedNsec: bytes.readUInt32LE(Statx.modifiedNsec),
    device: `${bytes.readUInt32LE(Statx.deviceMajor)}:${bytes.readUInt32LE(Statx.deviceMinor)}`,
    inode: bytes.readBigUInt64LE(Statx.inode),
  };
}
