import { Splice } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { isSpliceRefusal, type Pipe } from './pipe.js';
import { Outcome } from './transport.js';
import { requireWhole } from './whole-number.js';

const offsetMemory = new NativeMemory(8);
const FLAGS = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;

/**
 * Puts a part of a file into a pipe by reference to the page cache (splice(2)): what changes in the
 * file before the pipe is read may be seen in the pipe. The file's own position stays.
 *
 * @param offset bytes from the file's beginning
 * @param length bytes at most, ≥ 1
 * @returns bytes moved; Eof at the file's end; Blocked when the pipe is full; NotSpliceable, Failed
 * @throws RangeError when offset or length is no such whole number
 */
export function spliceFromFile(
  kernel: Kernel,
  file: number,
  offset: number,
  pipe: Pipe,
  length: number,
): number {
  requireWhole('offset', offset);
  requireWhole('length', length, 1);
  offsetMemory.bytes.writeBigInt64LE(BigInt(offset));
  const result = kernel.spliceFile(file, offsetMemory.address, pipe.writeEnd, 0, length, FLAGS);
  if (result > 0) pipe.bytes += result;
  return result >= 0 ? result : refused(result);
}

/**
 * Writes a pipe's first bytes to a file at an offset. It waits for the filesystem: no call of an
 * event loop with other things to do.
 *
 * @param file a regular file, open for writing, not O_APPEND
 * @param length bytes at most, ≥ 1, no more than the pipe holds
 * @returns bytes moved; Blocked when the pipe is empty; NotSpliceable; Failed: a full disk, say
 * @throws RangeError when offset or length is no such whole number
 */
export function spliceToFile(
  kernel: Kernel,
  pipe: Pipe,
  file: number,
  offset: number,
  length: number,
): number {
  requireWhole('offset', offset);
  requireWhole('length', length, 1);
  offsetMemory.bytes.writeBigInt64LE(BigInt(offset));
  const result = kernel.spliceFile(pipe.readEnd, 0, file, offsetMemory.address, length, FLAGS);
  if (result > 0) pipe.bytes -= result;
  // 0: no byte in the pipe and no writer; the pipe's owner has both ends.
  return result > 0 ? result : refused(result === 0 ? -Errno.EAGAIN : result);
}

function refused(result: number): number {
  if (result === -Errno.EAGAIN) return Outcome.Blocked;
  return isSpliceRefusal(-result) ? Outcome.NotSpliceable : Outcome.Failed;
}
