import { DIGIT_0, DIGIT_9, LF } from './characters.js';
import { HttpRejection } from './http-rejection.js';

const VERSION = 'HTTP/1.1';
export const VERSION_BYTES = VERSION.length;
/** `HTTP` and `/1.1`. */
const NAME_WORD = 0x48545450;
const VERSION_WORD = 0x2f312e31;
const MAJOR_AT = 5;
const MINOR_AT = 7;

/**
 * Reads `HTTP/1.0` or `HTTP/1.1` (RFC 9112 §2.3).
 *
 * @param view of the same bytes
 * @param next the byte that must follow
 * @returns the minor version; a negative rejection. While the following byte is not there, an answer of 0 or
 *   above means only that nothing is wrong so far.
 */
export function readVersion(
  view: DataView,
  bytes: Buffer,
  start: number,
  end: number,
  next: number,
): number {
  if (end - start > VERSION_BYTES && bytes[start + VERSION_BYTES] === next) {
    // Almost always.
    const isUsual = view.getInt32(start) === NAME_WORD && view.getInt32(start + 4) === VERSION_WORD;
    if (isUsual) return 1;
  }
  const available = Math.min(end - start, VERSION_BYTES);
  for (let index = 0; index < available; index++) {
    const byte = bytes[start + index]!;
    const isDigit = byte >= DIGIT_0 && byte <= DIGIT_9;
    const isRight =
      index === MAJOR_AT || index === MINOR_AT ? isDigit : byte === VERSION.charCodeAt(index);
    if (!isRight) return -HttpRejection.version_malformed;
  }
  if (end - start <= VERSION_BYTES) return 0;
  const behind = bytes[start + VERSION_BYTES]!;
  if (behind === LF) return -HttpRejection.bare_lf;
  const minor = bytes[start + MINOR_AT]! - DIGIT_0;
  if (bytes[start + MAJOR_AT] !== DIGIT_0 + 1 || minor > 1) {
    return -HttpRejection.version_unsupported;
  }
  return behind === next ? minor : -HttpRejection.version_malformed;
}
