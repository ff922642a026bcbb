import { CR, LF } from './characters.js';

/**
 * Whether a head may be whole that was not: an empty line, or a line's end that is none, has come since.
 *
 * @param start where the head begins
 * @param seen bytes[start, seen) were looked at before
 */
export function mayEnd(bytes: Buffer, start: number, seen: number, end: number): boolean {
  for (let at = seen; at < end; at++) {
    if (bytes[at] !== LF) continue;
    if (at === start || bytes[at - 1] !== CR) return true;
    if (at - start >= 2 && bytes[at - 2] === LF) return true;
  }
  return false;
}
