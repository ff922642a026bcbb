import { PARTIAL, Rejection } from './head-rejection.js';

/** `ContentType` (RFC 8446 §5.1) besides handshake: change_cipher_spec to heartbeat (RFC 6520). */
const CONTENT_TYPE_FIRST = 20;
const CONTENT_TYPE_LAST = 24;
/** The first byte of {03,XX}, which every version of TLS puts into a record. */
const VERSION_MAJOR = 3;
/** SSL 2.0 wrote a length of two bytes with the top bit set, then the message type (RFC 6101 §E). */
const SSLV2_LENGTH_BIT = 0x80;
const SSLV2_CLIENT_HELLO = 1;
/** Methods of RFC 9110 §9 and RFC 5789, and the preface of HTTP/2 (RFC 9113 §3.4). */
const httpBeginnings = [
  ...['GET ', 'HEAD ', 'POST ', 'PUT ', 'DELETE '],
  ...['CONNECT ', 'OPTIONS ', 'TRACE ', 'PATCH ', 'PRI * HTTP/2'],
];

/**
 * Says what a stream is whose first byte is not that of a handshake record. It answers as soon as
 * the bytes leave no doubt, so that a client of another protocol that waits for us is not left waiting.
 *
 * @param bytes bytes[start, end) are the beginning of the stream, at least one byte
 * @returns PARTIAL while it may still be HTTP, SSL 2.0 or a TLS record; a negative rejection otherwise
 */
export function otherProtocol(bytes: Buffer, start: number, end: number): number {
  const first = bytes[start]!;
  if (first >= CONTENT_TYPE_FIRST && first <= CONTENT_TYPE_LAST) {
    if (end - start < 2) return PARTIAL;
    return bytes[start + 1] === VERSION_MAJOR ? -Rejection.not_handshake : -Rejection.not_tls;
  }
  if ((first & SSLV2_LENGTH_BIT) !== 0) {
    if (end - start < 3) return PARTIAL;
    return bytes[start + 2] === SSLV2_CLIENT_HELLO ? -Rejection.sslv2_hello : -Rejection.not_tls;
  }
  for (const beginning of httpBeginnings) {
    const length = Math.min(beginning.length, end - start);
    let same = 0;
    while (same < length && bytes[start + same] === beginning.charCodeAt(same)) same++;
    if (same === beginning.length) return -Rejection.plain_http;
    if (same === length) return PARTIAL;
  }
  return -Rejection.not_tls;
}
