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

/**
 * Whether bytes[start, end) are empty lines alone. Nothing has begun with them (RFC 9112 §2.2): some clients send one too
 * many behind a body, and their next request may be a long time off.
 */
export function isEmptyLines(bytes: Buffer, start: number, end: number): boolean {
  if ((end - start) % 2 !== 0) return false;
  for (let at = start; at < end; at += 2) {
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return false;
  }
  return true;
}
