import { Splice } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { isSpliceRefusal, type Pipe } from './pipe.js';
import { Outcome } from './transport.js';

/**
 * Puts a copy of a pipe's first bytes into another pipe, by reference: no byte is moved, and the
 * first pipe keeps its own (tee(2)).
 *
 * It begins at the first pipe's first byte each time, so two calls in a row duplicate the same
 * bytes. What was duplicated is spliced on before the next call: exactly as much, or the copy has a
 * gap.
 *
 * @param from holds bytes; both ends of it stay as they are
 * @param to may hold bytes; a pipe has a place for each piece of memory, whatever its size, so it can
 *   be full long before its capacity in bytes is used
 * @returns bytes duplicated, at most `length`; Blocked when `to` is full or `from` empty;
 *   NotSpliceable where tee(2) is refused; Failed
 */
export function teePipe(kernel: Kernel, from: Pipe, to: Pipe, length: number): number {
  const result = kernel.tee(from.readEnd, to.writeEnd, length, Splice.SPLICE_F_NONBLOCK);
  if (result > 0) {
    to.bytes += result;
    return result;
  }
  // 0: no byte in the pipe, and nobody has its other end open: ours is.
  if (result === 0 || result === -Errno.EAGAIN) return Outcome.Blocked;
  return isSpliceRefusal(-result) ? Outcome.NotSpliceable : Outcome.Failed;
}
