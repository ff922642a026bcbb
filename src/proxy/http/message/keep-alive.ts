import { CASE_BIT, COMMA, DIGIT_0, DIGIT_9, isWhiteSpace } from './characters.js';
import { HeaderName } from './header-name.js';
import type { MessageHead } from './message-head.js';

const TIMEOUT = 'timeout=';
/** A request has to arrive before the other side closes: it is on its way for a while. */
const TRAVEL_MS = 1000;

/**
 * How long a connection may stay idle so that another request still finds it open, by what the other side says in
 * `Keep-Alive: timeout=SECONDS` (RFC 2068 §19.7.1.1): a second less, and of one second half.
 *
 * @returns milliseconds, Infinity where nothing is said
 */
export function keepAliveMs(head: MessageHead): number {
  const index = head.find(HeaderName.keep_alive);
  if (index < 0) return Number.POSITIVE_INFINITY;
  const { bytes } = head;
  const end = head.valueEnd(index);
  for (let at = head.valueStart(index); at < end; at++) {
    while (at < end && isWhiteSpace(bytes[at]!)) at++;
    if (isTimeout(bytes, at, end)) return patience(bytes, at + TIMEOUT.length, end);
    while (at < end && bytes[at] !== COMMA) at++;
  }
  return Number.POSITIVE_INFINITY;
}

/** Among bytes that are no control characters CASE_BIT makes nothing else like letters and `=`. */
function isTimeout(bytes: Buffer, start: number, end: number): boolean {
  if (end - start <= TIMEOUT.length) return false;
  for (let index = 0; index < TIMEOUT.length; index++) {
    if ((bytes[start + index]! | CASE_BIT) !== TIMEOUT.charCodeAt(index)) return false;
  }
  return true;
}

function patience(bytes: Buffer, start: number, end: number): number {
  let seconds = 0;
  let at = start;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < DIGIT_0 || byte > DIGIT_9) break;
    seconds = seconds * 10 + byte - DIGIT_0;
  }
  if (at === start) return Number.POSITIVE_INFINITY;
  return Math.max(seconds * 1000 - TRAVEL_MS, seconds * 500);
}
