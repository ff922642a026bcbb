import { CR, LF } from './characters.js';

/**
 * Whether it is worth to parse a head again that was partial: it may be whole now, for an empty line or a
 * line's end that is none has come since; or its first line may be, which is when another protocol shows.
 *
 * @param start where the head begins
 * @param seen bytes[start, seen) were looked at before
 */
export function mayEnd(bytes: Buffer, start: number, seen: number, end: number): boolean {
  for (let at = seen; at < end; at++) {
    if (bytes[at] !== LF) continue;
    if (at === start || bytes[at - 1] !== CR) return true;
    if (at - start >= 2 && bytes[at - 2] === LF) return true;
    if (bytes.indexOf(LF, start) === at) return true;
  }
  return false;
}
