/** What a stream is, by its first bytes. */
export const FirstBytes = {
  /** A record of the handshake (RFC 8446 §5.1: content type 22): what follows is OpenSSL's affair. */
  Handshake: 0,
  /** The beginning of a request line (RFC 9112 §3). */
  PlainHttp: 1,
  /** A ClientHello in the record format of SSL 2.0 (RFC 5246 §E.2). */
  Sslv2Hello: 2,
  Other: 3,
  /** A few letters: a method, if a space follows. */
  Partial: 4,
} as const;
export type FirstBytes = (typeof FirstBytes)[keyof typeof FirstBytes];

/** So many bytes tell; the longest method in use is shorter (VERSION-CONTROL, RFC 3253). */
export const FIRST_BYTES_MAX = 16;

const CONTENT_TYPE_HANDSHAKE = 22;
const SSLV2_LENGTH_BIT = 0x80;
const SSLV2_CLIENT_HELLO = 1;
const SPACE = 0x20;

/** @param bytes bytes[0, length) are the beginning of the stream; at least one byte */
export function recogniseStream(bytes: Uint8Array, length: number): FirstBytes {
  const first = bytes[0]!;
  if (first === CONTENT_TYPE_HANDSHAKE) return FirstBytes.Handshake;
  if ((first & SSLV2_LENGTH_BIT) !== 0) {
    if (length < 3) return FirstBytes.Partial;
    return bytes[2] === SSLV2_CLIENT_HELLO ? FirstBytes.Sslv2Hello : FirstBytes.Other;
  }
  return recogniseMethod(bytes, Math.min(length, FIRST_BYTES_MAX));
}

function recogniseMethod(bytes: Uint8Array, length: number): FirstBytes {
  for (let at = 0; at < length; at++) {
    const byte = bytes[at]!;
    if (byte === SPACE && at > 0) return FirstBytes.PlainHttp;
    // Methods are written in capitals (RFC 9110 §9.1), some with a hyphen.
    const isMethod = (byte >= 0x41 && byte <= 0x5a) || (byte === 0x2d && at > 0);
    if (!isMethod) return FirstBytes.Other;
  }
  return length === FIRST_BYTES_MAX ? FirstBytes.Other : FirstBytes.Partial;
}
