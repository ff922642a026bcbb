import type { ClientHello } from './client-hello.js';
import { Rejection } from './head-rejection.js';
import { checkHostName, readHostName } from './host-name.js';

/** `ExtensionType` (RFC 8446 §4.2; encrypted_client_hello is RFC 9849 §5). */
const Extension = {
  server_name: 0,
  application_layer_protocol_negotiation: 16,
  supported_versions: 43,
  encrypted_client_hello: 0xfe0d,
} as const;

/** RFC 6066 §3 `NameType`. */
const NAME_TYPE_HOST_NAME = 0;
/** {03,XX}: SSL 3.0 and every TLS since. GREASE (RFC 8701) and drafts have other first bytes. */
const VERSION_MAJOR = 3;

/** One bit for each extension type, of the hello that is being read. */
const seen = new Uint32Array(65536 / 32);

/**
 * Reads the extensions Headgate routes by, and checks the frame of all others.
 *
 * @param bytes bytes[at, end) are `extensions` of RFC 8446 §4.1.2, its length included
 * @returns 0, or a negative rejection
 */
export function readExtensions(bytes: Buffer, at: number, end: number, hello: ClientHello): number {
  if (end - at < 2 || uint16(bytes, at) !== end - at - 2) return -Rejection.client_hello_malformed;
  seen.fill(0);
  for (let next = at + 2; next < end; ) {
    if (end - next < 4) return -Rejection.client_hello_malformed;
    const type = uint16(bytes, next);
    const dataAt = next + 4;
    next = dataAt + uint16(bytes, next + 2);
    if (next > end) return -Rejection.client_hello_malformed;
    // GREASE types are no exception: a client picks two different ones (RFC 8701 §3.1).
    const bit = 1 << (type & 31);
    if ((seen[type >>> 5]! & bit) !== 0) return -Rejection.extension_duplicate;
    seen[type >>> 5]! |= bit;
    const result = readExtension(type, bytes, dataAt, next, hello);
    if (result < 0) return result;
  }
  return 0;
}

function readExtension(
  type: number,
  bytes: Buffer,
  at: number,
  end: number,
  hello: ClientHello,
): number {
  switch (type) {
    case Extension.server_name:
      return readServerName(bytes, at, end, hello);
    case Extension.application_layer_protocol_negotiation:
      return readAlpn(bytes, at, end, hello);
    case Extension.supported_versions:
      return readVersions(bytes, at, end, hello);
    case Extension.encrypted_client_hello:
      // The name in the clear is the one to route by: its server has the key to the other one.
      hello.isEncrypted = true;
      return 0;
    default:
      return 0;
  }
}

/** RFC 6066 §3: `ServerName server_name_list<1..2^16-1>`, each a type and a vector of two-byte length. */
function readServerName(bytes: Buffer, at: number, end: number, hello: ClientHello): number {
  if (end - at < 3 || uint16(bytes, at) !== end - at - 2) return -Rejection.server_name_malformed;
  for (let next = at + 2; next < end; ) {
    if (end - next < 4) return -Rejection.server_name_malformed;
    const type = bytes[next]!;
    const nameAt = next + 3;
    next = nameAt + uint16(bytes, next + 1);
    if (next > end || next === nameAt) return -Rejection.server_name_malformed;
    if (type !== NAME_TYPE_HOST_NAME) continue;
    if (hello.serverName !== undefined) return -Rejection.server_name_duplicate;
    const result = checkHostName(bytes, nameAt, next);
    if (result < 0) return result;
    hello.serverName = readHostName(bytes, nameAt, next);
  }
  return 0;
}

/** RFC 7301 §3.1: `ProtocolName protocol_name_list<2..2^16-1>`, each `opaque<1..2^8-1>`. */
function readAlpn(bytes: Buffer, at: number, end: number, hello: ClientHello): number {
  if (end - at < 4 || uint16(bytes, at) !== end - at - 2) return -Rejection.alpn_malformed;
  for (let next = at + 2; next < end; ) {
    const nameAt = next + 1;
    next = nameAt + bytes[next]!;
    if (next > end || next === nameAt) return -Rejection.alpn_malformed;
    hello.alpn.push(protocolName(bytes, nameAt, next));
  }
  return 0;
}

/** A name as a string of bytes. The names nearly all clients send are not made anew each time. */
function protocolName(bytes: Buffer, at: number, end: number): string {
  if (end - at === 2 && bytes[at] === 0x68 && bytes[at + 1] === 0x32) return 'h2';
  return bytes.toString('latin1', at, end);
}

/** RFC 8446 §4.2.1: `ProtocolVersion versions<2..254>`. */
function readVersions(bytes: Buffer, at: number, end: number, hello: ClientHello): number {
  if (end === at) return -Rejection.versions_malformed;
  const length = bytes[at]!;
  if (length !== end - at - 1 || length < 2 || length % 2 !== 0) {
    return -Rejection.versions_malformed;
  }
  // Where the extension is present, legacy_version counts for nothing.
  hello.version = 0;
  for (let next = at + 1; next < end; next += 2) {
    if (bytes[next] === VERSION_MAJOR) hello.version = Math.max(hello.version, uint16(bytes, next));
  }
  return 0;
}

function uint16(bytes: Buffer, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
