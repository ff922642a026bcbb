import { DIGIT_0, DIGIT_9 } from './characters.js';
import { HttpRejection } from './http-rejection.js';

/** Digits of 2^53 − 1, the last whole number before which none is missing. */
const DIGITS_MAX = 16;

/**
 * Reads the value of Content-Length (RFC 9110 §8.6). A leading zero is refused although the grammar has
 * it: some readers would take the number for an octal one.
 *
 * @returns bytes, or a negative rejection
 */
export function readContentLength(bytes: Buffer, start: number, end: number): number {
  if (start === end) return -HttpRejection.content_length_malformed;
  if (bytes[start] === DIGIT_0 && end - start > 1) return -HttpRejection.content_length_malformed;
  let value = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) return -HttpRejection.content_length_malformed;
    if (at - start < DIGITS_MAX) value = value * 10 + (byte - DIGIT_0);
  }
  const isTooLarge = end - start > DIGITS_MAX || value > Number.MAX_SAFE_INTEGER;
  return isTooLarge ? -HttpRejection.content_length_too_large : value;
}
