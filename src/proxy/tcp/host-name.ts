import { Rejection } from './head-rejection.js';

/** What OpenSSL takes (TLSEXT_MAXLEN_host_name), two more than DNS can resolve (RFC 1035 §2.3.4). */
const NAME_BYTES_MAX = 255;
/** RFC 1035 §2.3.4. */
const LABEL_BYTES_MAX = 63;

const DOT = 0x2e;
const HYPHEN = 0x2d;
const UNDERSCORE = 0x5f;
const COLON = 0x3a;
const CASE_BIT = 0x20;

/**
 * Checks the `HostName` of a server_name extension (RFC 6066 §3): labels of letters, digits and
 * hyphens (RFC 5890 §2.3.1), which includes A-labels (`xn--…`), and no dot at the end. Underscores are
 * let through, though no host name has them: names in container networks do.
 *
 * @param bytes bytes[start, end) are the name
 * @returns 0, or a negative rejection
 */
export function checkHostName(bytes: Buffer, start: number, end: number): number {
  if (end - start > NAME_BYTES_MAX) return -Rejection.server_name_invalid;
  let labelAt = start;
  let isNumeric = true;
  for (let at = start; at <= end; at++) {
    const byte = at === end ? DOT : bytes[at]!;
    if (byte === DOT) {
      if (!isLabel(bytes, labelAt, at)) return -Rejection.server_name_invalid;
      labelAt = at + 1;
    } else if (byte === COLON) {
      return -Rejection.server_name_address;
    } else if (!isDigit(byte)) {
      if (!isLetter(byte) && byte !== HYPHEN && byte !== UNDERSCORE) {
        return -Rejection.server_name_invalid;
      }
      isNumeric = false;
    }
  }
  // Digits and dots alone: an IPv4 address in one of the forms that inet_aton(3) reads.
  return isNumeric ? -Rejection.server_name_address : 0;
}

/** The name in lower case, as it is compared. @param bytes a name that was checked */
export function readHostName(bytes: Buffer, start: number, end: number): string {
  return bytes.toString('latin1', start, end).toLowerCase();
}

function isLabel(bytes: Buffer, start: number, end: number): boolean {
  if (end === start || end - start > LABEL_BYTES_MAX) return false;
  return bytes[start] !== HYPHEN && bytes[end - 1] !== HYPHEN;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isLetter(byte: number): boolean {
  const lower = byte | CASE_BIT;
  return lower >= 0x61 && lower <= 0x7a;
}
