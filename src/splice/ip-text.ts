/**
 * IP addresses from text to bytes, without the detours that the usual readers allow: no octal, no short forms, no
 * zone. `decodeAddress` is the way back.
 */

const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;
const LETTER_A = 0x61;
const LETTER_F = 0x66;
const CASE_BIT = 0x20;
const COLON = 0x3a;

/**
 * Reads four decimal numbers with dots between them.
 * @param into takes four bytes at `at`; changed even when the answer is false
 */
export function readIPv4(text: string, into: Buffer, at: number): boolean {
  let start = 0;
  for (let index = 0; index < 4; index++) {
    const dot = index === 3 ? text.length : text.indexOf('.', start);
    if (dot < 0) return false;
    const value = readOctet(text, start, dot);
    if (value < 0) return false;
    into[at + index] = value;
    start = dot + 1;
  }
  return true;
}

/**
 * Reads an IPv6 address in any form of RFC 4291 §2.2: up to eight groups of one to four hexadecimal
 * digits, one `::` for any number of zero groups, an IPv4 address in the place of the last two. The
 * last is not in the grammar of PROXY protocol v1, but inet_ntop(3) writes it, and so do its users.
 *
 * @param into takes 16 bytes at `at`; changed even when the answer is false
 */
export function readIPv6(text: string, into: Buffer, at: number): boolean {
  let groups = 0;
  let gapAt = -1;
  let start = 0;
  if (text.startsWith('::')) {
    gapAt = 0;
    start = 2;
  }
  while (start < text.length) {
    if (groups === 8) return false;
    const colon = text.indexOf(':', start);
    const end = colon < 0 ? text.length : colon;
    if (colon < 0 && text.indexOf('.', start) >= 0) {
      if (groups > 6 || !readIPv4(text.slice(start), into, at + groups * 2)) return false;
      groups += 2;
      break;
    }
    const value = readGroup(text, start, end);
    if (value < 0) return false;
    into.writeUInt16BE(value, at + groups * 2);
    groups++;
    start = end + 1;
    if (colon < 0) break;
    if (text.charCodeAt(start) === COLON) {
      if (gapAt >= 0) return false;
      gapAt = groups;
      start++;
    } else if (start === text.length) return false;
  }
  if (gapAt < 0) return groups === 8;
  if (groups === 8) return false;
  const gapStart = at + gapAt * 2;
  const tailBytes = (groups - gapAt) * 2;
  into.copyWithin(at + 16 - tailBytes, gapStart, gapStart + tailBytes);
  into.fill(0, gapStart, at + 16 - tailBytes);
  return true;
}

/** @returns 0 to 255, or −1: also for a leading zero, which some readers take for octal */
function readOctet(text: string, start: number, end: number): number {
  if (end === start || end - start > 3) return -1;
  if (text.charCodeAt(start) === DIGIT_0 && end - start > 1) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code < DIGIT_0 || code > DIGIT_9) return -1;
    value = value * 10 + code - DIGIT_0;
  }
  return value > 255 ? -1 : value;
}

/** @returns 0 to 0xffff, or −1 */
function readGroup(text: string, start: number, end: number): number {
  if (end === start || end - start > 4) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    const lower = code | CASE_BIT;
    if (code >= DIGIT_0 && code <= DIGIT_9) value = value * 16 + code - DIGIT_0;
    else if (lower >= LETTER_A && lower <= LETTER_F) value = value * 16 + lower - LETTER_A + 10;
    else return -1;
  }
  return value;
}
