import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { isSpliceRefusal } from './pipe.js';
import { Outcome } from './transport.js';
import { requireWhole } from './whole-number.js';

const offsetMemory = new NativeMemory(8);
/** The low half first. */
const offsetWords = new Uint32Array(offsetMemory.bytes.buffer, 0, 2);
const TWO_TO_32 = 2 ** 32;

/**
 * Sends a part of a file from the page cache (sendfile(2)): no byte passes through userland, and
 * the file's own position is neither used nor moved. One system call, which takes what the socket
 * has room for: call again from `offset` plus the result once the socket is writable.
 *
 * @param to a non-blocking stream socket, a pipe or a file
 * @param from a file that can be mapped: a regular one
 * @param offset bytes from the file's beginning, below 2⁵³
 * @param length bytes at most; the kernel stops a page short of 2 GiB
 * @returns bytes sent; Eof at the file's end, wherever that is by now; Blocked; NotSpliceable where
 *   the kernel refuses the pair: read and write; Failed
 * @throws RangeError when offset or length is no whole number ≥ 0
 */
export function sendFile(
  kernel: Kernel,
  to: number,
  from: number,
  offset: number,
  length: number,
): number {
  return outcomeOf(sendfileAt(kernel, to, from, offset, length));
}

/**
 * sendfile(2) from an offset that is a number.
 * @returns what the kernel answers: bytes, 0 at the file's end, or a negative error number
 * @throws RangeError as {@link sendFile}
 */
export function sendfileAt(
  kernel: Kernel,
  to: number,
  from: number,
  offset: number,
  length: number,
): number {
  requireWhole('offset', offset);
  requireWhole('length', length);
  // What is stored is taken modulo 2³², exactly.
  offsetWords[0] = offset;
  offsetWords[1] = offset / TWO_TO_32;
  return kernel.sendfile(to, from, offsetMemory.address, length);
}

function outcomeOf(result: number): number {
  if (result >= 0) return result;
  if (result === -Errno.EAGAIN) return Outcome.Blocked;
  return isSpliceRefusal(-result) ? Outcome.NotSpliceable : Outcome.Failed;
}

/** A part of a file on its way to a socket, resumed where the socket stopped taking it. */
export class FileSender {
  /** Where the next byte is in the file. */
  offset = 0;
  /** Bytes still to be sent; what is left at Eof is what the file has become too short for. */
  remainingBytes = 0;
  /** Error number of the last NotSpliceable or Failed, positive; 0 before any. */
  errno = 0;

  constructor(private readonly kernel: Kernel) {}

  /**
   * Sets out anew: the same object serves one file after another.
   * @throws RangeError when offset or length is no whole number ≥ 0
   */
  begin(offset: number, length: number): void {
    requireWhole('offset', offset);
    requireWhole('length', length);
    this.offset = offset;
    this.remainingBytes = length;
    this.errno = 0;
  }

  /**
   * Sends as much as one call takes.
   *
   * @param most bytes at most in this call, ≥ 1, so that one download does not starve the rest
   * @returns bytes sent; Eof when all has been sent, or the file ended before (`remainingBytes` > 0:
   *   it was truncated); Blocked, NotSpliceable, Failed
   * @throws RangeError when `most` is no whole number ≥ 1: nothing sent would look like a file's end
   */
  send(to: number, from: number, most: number): number {
    requireWhole('most', most, 1);
    const wanted = Math.min(most, this.remainingBytes);
    if (wanted === 0) return Outcome.Eof;
    const result = sendfileAt(this.kernel, to, from, this.offset, wanted);
    if (result > 0) {
      this.offset += result;
      this.remainingBytes -= result;
    } else if (result < 0 && result !== -Errno.EAGAIN) {
      this.errno = -result;
    }
    return outcomeOf(result);
  }
}
