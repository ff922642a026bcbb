import { gatherClientHello, HandshakeMessage, MESSAGE_HEADER_BYTES } from './handshake-message.js';
import { Rejection } from './head-rejection.js';
import { readExtensions } from './hello-extensions.js';

/** RFC 8446 §4.1.2: legacy_version and random. */
const VERSION_AND_RANDOM_BYTES = 2 + 32;
const SESSION_ID_BYTES_MAX = 32;
/** RFC 8446 §D.5: a hello of SSL 3.0 or older is answered with protocol_version. */
const VERSION_TLS_1_0 = 0x0301;

const message = new HandshakeMessage();

/**
 * What a ClientHello says in the clear, as far as a route can depend on it. The object is used again
 * for each try to parse one.
 */
export class ClientHello {
  /** server_name: a checked host name in lower case; undefined when there is none. */
  serverName: string | undefined;
  /** ALPN: names as strings of bytes, in the client's order. */
  readonly alpn: string[] = [];
  /** The highest version offered, as on the wire: 0x0304 is TLS 1.3. 0: only unknown ones. */
  version = 0;
  /** An encrypted_client_hello extension is there, real or GREASE (RFC 9849 §6.2): the name is the outer one. */
  isEncrypted = false;
  /** After PARTIAL: no answer but a rejection is possible before the stream has so many bytes. */
  wantedBytes = 0;

  clear(): void {
    this.serverName = undefined;
    this.alpn.length = 0;
    this.version = 0;
    this.isEncrypted = false;
  }
}

/**
 * Parses the ClientHello at the beginning of a stream, in however many records it comes.
 *
 * ```
 *   ClientHello (RFC 8446 §4.1.2)
 *   type len³ │ version² random³² │ len¹ session_id │ len² cipher_suites │ len¹ compression │ len² extensions
 *                                                                                             (may be absent)
 * ```
 *
 * The lengths must add up exactly. What a server negotiates (cipher suites, groups, tickets, the order
 * of extensions) is left to the server.
 *
 * @param bytes bytes[start, end) are the beginning of the stream; nothing outside is read
 * @param hello cleared and filled; its fields mean something only when bytes were consumed
 * @returns bytes up to the end of the hello's last record, PARTIAL, or a negative rejection. A prefix of
 *   a good hello is PARTIAL; what is rejected stays rejected for the same reason whatever follows.
 */
export function parseClientHello(
  bytes: Buffer,
  start: number,
  end: number,
  hello: ClientHello,
): number {
  hello.clear();
  const consumed = gatherClientHello(bytes, start, end, message);
  hello.wantedBytes = message.wantedBytes;
  if (consumed <= 0) return consumed;
  const result = readBody(message.bytes, MESSAGE_HEADER_BYTES, message.byteLength, hello);
  return result < 0 ? result : consumed;
}

function readBody(bytes: Buffer, start: number, end: number, hello: ClientHello): number {
  if (end - start < VERSION_AND_RANDOM_BYTES) return -Rejection.client_hello_malformed;
  hello.version = (bytes[start]! << 8) | bytes[start + 1]!;
  if (hello.version < VERSION_TLS_1_0) return -Rejection.version_unsupported;
  let at = start + VERSION_AND_RANDOM_BYTES;
  at = skipShortVector(bytes, at, end, 0, SESSION_ID_BYTES_MAX);
  if (at > 0) at = skipCipherSuites(bytes, at, end);
  if (at > 0) at = skipShortVector(bytes, at, end, 1, 255);
  if (at < 0) return at;
  // Before TLS 1.2 there need not be extensions, and then there is no length of them either.
  return at === end ? 0 : readExtensions(bytes, at, end, hello);
}

/** @returns where a vector with a length of one byte ends, or a negative rejection */
function skipShortVector(
  bytes: Buffer,
  at: number,
  end: number,
  least: number,
  most: number,
): number {
  if (at >= end) return -Rejection.client_hello_malformed;
  const length = bytes[at]!;
  const next = at + 1 + length;
  const isRight = length >= least && length <= most && next <= end;
  return isRight ? next : -Rejection.client_hello_malformed;
}

/** `CipherSuite cipher_suites<2..2^16-2>`, two bytes each. */
function skipCipherSuites(bytes: Buffer, at: number, end: number): number {
  if (end - at < 2) return -Rejection.client_hello_malformed;
  const length = (bytes[at]! << 8) | bytes[at + 1]!;
  const next = at + 2 + length;
  const isRight = length >= 2 && length % 2 === 0 && next <= end;
  return isRight ? next : -Rejection.client_hello_malformed;
}
