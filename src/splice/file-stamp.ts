import { type FileStatus, lastStatus, look, statusWords } from './file-status.js';
import type { Kernel } from './kernel.js';
import { Statx } from './structs.js';

const FIELDS = [
  Statx.inode,
  Statx.inode + 4,
  Statx.deviceMajor,
  Statx.deviceMinor,
  Statx.fileSize,
  Statx.fileSize + 4,
  Statx.modifiedSec,
  Statx.modifiedSec + 4,
  Statx.modifiedNsec,
  Statx.changedSec,
  Statx.changedSec + 4,
  Statx.changedNsec,
].map((offset) => offset / 4);
/** Of the fields, those that say which file it is. */
const IDENTITY_FIELDS = 4;
/** Those that its content goes by; the others say when anything was last done to it. */
const CONTENT_FIELDS = 9;
/** Where the low half of the seconds of that is. */
const CHANGED_SEC = 9;
const TWO_TO_32 = 2 ** 32;

/**
 * Which file it is, how long, and when it was last written: what has the same stamp has the same content, as
 * far as the clock of the filesystem can tell. Comparing costs a system call and no memory.
 */
export class FileStamp {
  private readonly values = new Int32Array(FIELDS.length);

  /** Takes the stamp of an open file. @returns its status at that moment, or a negative error number */
  take(kernel: Kernel, fd: number): FileStatus | number {
    const result = look(kernel, fd);
    if (result < 0) return result;
    for (let index = 0; index < FIELDS.length; index++) {
      this.values[index] = statusWords[FIELDS[index]!]!;
    }
    return lastStatus();
  }

  /** Whether an open file still has this stamp; false also for one that cannot be looked at. */
  isOf(kernel: Kernel, fd: number): boolean {
    if (look(kernel, fd) < 0) return false;
    for (let index = 0; index < CONTENT_FIELDS; index++) {
      if (this.values[index] !== statusWords[FIELDS[index]!]) return false;
    }
    return true;
  }

  /**
   * Whether anything was done to the file before {@link isOf} looked at it, and after this was asked last: also what
   * leaves it as it was, a rename say, and writing it and turning back its clock. Nobody can turn back this one.
   */
  wasTouched(): boolean {
    let isTouched = false;
    for (let index = CONTENT_FIELDS; index < FIELDS.length; index++) {
      const value = statusWords[FIELDS[index]!]!;
      if (this.values[index] === value) continue;
      this.values[index] = value;
      isTouched = true;
    }
    return isTouched;
  }

  /** When anything was last done to the file, as far as it was noticed; seconds since 1970. */
  get changedSec(): number {
    return (this.values[CHANGED_SEC]! >>> 0) + this.values[CHANGED_SEC + 1]! * TWO_TO_32;
  }

  /** The same file, of the same length, written at the same time. */
  equals({ values }: FileStamp): boolean {
    return this.values.every((value, index) => value === values[index] || index >= CONTENT_FIELDS);
  }

  /** The same file, whatever has become of its content. */
  isSameFile({ values }: FileStamp): boolean {
    for (let index = 0; index < IDENTITY_FIELDS; index++) {
      if (this.values[index] !== values[index]) return false;
    }
    return true;
  }
}
