import { COMMA, isToken, isWhiteSpace } from './characters.js';
import { HttpRejection } from './http-rejection.js';

const CHUNKED = 'chunked';

/**
 * Reads the value of Transfer-Encoding (RFC 9112 §6.1). The only coding taken is `chunked`, once: others
 * would have to be undone and are used by nobody, while a list that ends in chunked for us and in something
 * else for the next reader is the classic way to smuggle.
 *
 * @returns 0 for chunked, or a negative rejection
 */
export function readTransferEncoding(bytes: Buffer, start: number, end: number): number {
  let codings = 0;
  let chunkedAt = -1;
  for (let at = start; ; codings++) {
    const codingAt = at;
    while (at < end && isToken[bytes[at]!] === 1) at++;
    if (at === codingAt) return -HttpRejection.transfer_encoding_malformed;
    if (isChunked(bytes, codingAt, at)) {
      if (chunkedAt >= 0) return -HttpRejection.transfer_coding_not_final;
      chunkedAt = codings;
    }
    while (at < end && isWhiteSpace(bytes[at]!)) at++;
    if (at === end) break;
    // Parameters of a coding (`;`) are none that we know.
    if (bytes[at] !== COMMA) return -HttpRejection.transfer_encoding_malformed;
    at++;
    while (at < end && isWhiteSpace(bytes[at]!)) at++;
  }
  if (chunkedAt >= 0 && chunkedAt < codings) return -HttpRejection.transfer_coding_not_final;
  return codings === 0 && chunkedAt === 0 ? 0 : -HttpRejection.transfer_coding_unknown;
}

function isChunked(bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== CHUNKED.length) return false;
  for (let index = 0; index < CHUNKED.length; index++) {
    if ((bytes[start + index]! | 0x20) !== CHUNKED.charCodeAt(index)) return false;
  }
  return true;
}
