import { File, SyscallNumber } from './constants.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { LinuxDirent64, Statx } from './structs.js';

/** What a directory has under one name. */
export interface DirectoryEntry {
  /** Bytes: a name need not be UTF-8. */
  readonly name: Buffer;
  readonly isDirectory: boolean;
  readonly isRegular: boolean;
  /** It leads elsewhere; where to was not looked at. */
  readonly isLink: boolean;
  /** Bytes. */
  readonly size: number;
  /** When the content was last changed, seconds since 1970. */
  readonly modifiedSec: number;
}

const BUFFER_BYTES = 32 * 1024;

const buffer = new NativeMemory(BUFFER_BYTES);
const status = new NativeMemory(Statx.size);

/**
 * Reads a whole directory, without `.` and `..`, in the order of the filesystem, and looks at each entry: two
 * system calls for a few, and one more for each of them. A link is not followed.
 *
 * @param fd a directory, opened for reading and not read before
 * @param most entries; the rest is left out
 * @returns the entries, or a negative error number
 */
export function readDirectory(kernel: Kernel, fd: number, most: number): DirectoryEntry[] | number {
  const entries: DirectoryEntry[] = [];
  while (entries.length < most) {
    const { address, byteLength } = buffer;
    const length = kernel.syscall(SyscallNumber.getdents64, fd, address, byteLength, 0);
    if (length < 0) return length;
    if (length === 0) return entries;
    for (let at = 0; at < length && entries.length < most; ) {
      const entry = entryAt(kernel, fd, at);
      if (entry !== undefined) entries.push(entry);
      at += buffer.bytes.readUInt16LE(at + LinuxDirent64.recordLength);
    }
  }
  return entries;
}

/** @returns nothing for what is no entry, or is gone by now */
function entryAt(kernel: Kernel, fd: number, at: number): DirectoryEntry | undefined {
  const { bytes, address } = buffer;
  const nameAt = at + LinuxDirent64.name;
  const name = Buffer.from(bytes.subarray(nameAt, bytes.indexOf(0, nameAt)));
  const text = name.toString('latin1');
  if (text === '.' || text === '..') return undefined;
  const { AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, S_IFMT, S_IFREG, S_IFDIR, S_IFLNK } = File;
  const path = address + nameAt;
  const result = kernel.statx(fd, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, status.address);
  if (result < 0) return undefined;
  const kind = status.bytes.readUInt16LE(Statx.mode) & S_IFMT;
  return {
    name,
    isDirectory: kind === S_IFDIR,
    isRegular: kind === S_IFREG,
    isLink: kind === S_IFLNK,
    size: Number(status.bytes.readBigUInt64LE(Statx.fileSize)),
    modifiedSec: Number(status.bytes.readBigInt64LE(Statx.modifiedSec)),
  };
}
