import {
  decodeAddress,
  readIPv4,
  readIPv6,
  SockaddrIn,
  SockaddrIn6,
  SockaddrUn,
  Socket,
  type SocketAddress,
} from '../../splice/index.js';
import { crc32c } from './crc32c.js';
import { PARTIAL, Rejection } from './head-rejection.js';
import type { ProxyEndpoints, ProxyHeader } from './proxy-header.js';
import { checkTlvs, type ProxyTlv, ProxyTlvType, TLV_HEADER_BYTES, takeTlvs } from './proxy-tlv.js';

/** proxy-protocol.txt §2.2: what no other protocol begins with. */
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Signature, version and command, family and transport, length of the rest. */
export const V2_FIXED_BYTES = 16;
const VERSION_2 = 0x20;
const Command = { LOCAL: 0x0, PROXY: 0x1 } as const;
/** High nibble of the 14th byte. */
const Family = { UNSPEC: 0x0, INET: 0x1, INET6: 0x2, UNIX: 0x3 } as const;
/** Low nibble of the 14th byte. */
const Transport = { UNSPEC: 0x0, STREAM: 0x1, DGRAM: 0x2 } as const;

/** Bytes of one address without its port, by {@link Family}. */
const hostBytes = [0, 4, 16, SockaddrUn.pathBytes] as const;
const PORT_BYTES = 2;

/** A sockaddr of any family, for {@link decodeAddress}; free again after each call. */
const sockaddr = Buffer.from(new ArrayBuffer(SockaddrUn.size));

/**
 * Parses a header of version 2.
 *
 * ```
 *   signature¹² │ 2,command¹ │ family,transport¹ │ length² │ source, destination, ports │ TLVs …
 * ```
 *
 * @param bytesMax the longest header to accept, the 16 fixed bytes included
 * @returns bytes of the header, PARTIAL, or a negative rejection
 */
export function parseV2(
  bytes: Buffer,
  start: number,
  end: number,
  header: ProxyHeader,
  bytesMax: number,
): number {
  const length = end - start;
  for (let at = 0; at < length && at < SIGNATURE.length; at++) {
    if (bytes[start + at] !== SIGNATURE[at]) return -Rejection.proxy_missing;
  }
  if (length > 12 && !isAssigned(bytes[start + 12]!)) return -Rejection.proxy_unassigned;
  header.wantedBytes = V2_FIXED_BYTES;
  if (length < V2_FIXED_BYTES) return PARTIAL;
  const total = V2_FIXED_BYTES + bytes.readUInt16BE(start + 14);
  if (total > bytesMax) return -Rejection.proxy_too_large;
  header.wantedBytes = total;
  if (length < total) return PARTIAL;
  header.version = 2;
  header.isLocal = bytes[start + 12] === (VERSION_2 | Command.LOCAL);
  header.endpoints = undefined;
  header.tlvs = [];
  // Of LOCAL nothing else counts: not even the family has to be an assigned one.
  const result = header.isLocal ? 0 : readBlock(bytes, start, start + total, header);
  return result < 0 ? result : total;
}

function isAssigned(versionAndCommand: number): boolean {
  const command = versionAndCommand ^ VERSION_2;
  return command === Command.LOCAL || command === Command.PROXY;
}

/** Reads what follows the fixed bytes of a PROXY command. @returns 0, or a negative rejection */
function readBlock(bytes: Buffer, start: number, end: number, header: ProxyHeader): number {
  const family = bytes[start + 13]! >> 4;
  const transport = bytes[start + 13]! & 0xf;
  if (family > Family.UNIX || transport > Transport.DGRAM) return -Rejection.proxy_unassigned;
  // How much there is of an unspecified address nobody knows: neither where the TLVs begin.
  if (family === Family.UNSPEC || transport === Transport.UNSPEC) return 0;
  const host = hostBytes[family]!;
  const port = family === Family.UNIX ? 0 : PORT_BYTES;
  const sourceAt = start + V2_FIXED_BYTES;
  const portsAt = sourceAt + 2 * host;
  const tlvsAt = portsAt + 2 * port;
  if (tlvsAt > end) return -Rejection.proxy_length_mismatch;
  const result = checkTlvs(bytes, start, tlvsAt, end);
  if (result < 0) return result;
  if (transport === Transport.STREAM) {
    const source = readAddress(bytes, family, sourceAt, portsAt);
    const destination = readAddress(bytes, family, sourceAt + host, portsAt + port);
    header.endpoints = { source, destination };
  }
  if (tlvsAt < end) header.tlvs = takeTlvs(bytes, tlvsAt, end);
  return 0;
}

function readAddress(bytes: Buffer, family: number, at: number, portAt: number): SocketAddress {
  switch (family) {
    case Family.INET:
      sockaddr.writeUInt16LE(Socket.AF_INET, SockaddrIn.family);
      bytes.copy(sockaddr, SockaddrIn.port, portAt, portAt + PORT_BYTES);
      bytes.copy(sockaddr, SockaddrIn.address, at, at + 4);
      return decodeAddress(sockaddr, SockaddrIn.size);
    case Family.INET6:
      sockaddr.writeUInt16LE(Socket.AF_INET6, SockaddrIn6.family);
      bytes.copy(sockaddr, SockaddrIn6.port, portAt, portAt + PORT_BYTES);
      bytes.copy(sockaddr, SockaddrIn6.address, at, at + 16);
      sockaddr.writeUInt32LE(0, SockaddrIn6.scopeId);
      return decodeAddress(sockaddr, SockaddrIn6.size);
    default:
      return { family: 'unix', path: unixPath(bytes.subarray(at, at + SockaddrUn.pathBytes)) };
  }
}

/** The zeros behind a name are filling; those in front of an abstract one are its mark. */
function unixPath(field: Buffer): string {
  let end = field.length;
  while (end > 0 && field[end - 1] === 0) end--;
  const name = field.toString('utf8', 0, end);
  return name.startsWith('\0') ? `@${name.slice(1)}` : name.replace(/\0.*$/s, '');
}

/** What a v2 header may carry besides addresses. */
export interface ProxyV2Options {
  readonly tlvs?: readonly ProxyTlv[];
  /** Ends the header with a CRC32C of it. */
  readonly crc32c?: boolean;
}

/**
 * Writes a header of version 2. Where one address is IPv4 and the other IPv6, the first is written as
 * IPv4 in IPv6; where one is a unix address and the other is not, the family is unspecified.
 *
 * @param into large enough: 16 bytes, up to 216 of addresses, the TLVs, and 7 for the CRC32C
 * @param endpoints undefined for LOCAL, the sender speaking for itself
 * @returns bytes written at the beginning of `into`
 * @throws RangeError when `into` is too small, or the header would be longer than the protocol allows
 */
export function writeProxyV2(
  into: Buffer,
  endpoints: ProxyEndpoints | undefined,
  options: ProxyV2Options = {},
): number {
  SIGNATURE.copy(into);
  into[12] = VERSION_2 | (endpoints === undefined ? Command.LOCAL : Command.PROXY);
  const family = endpoints === undefined ? Family.UNSPEC : familyOf(endpoints);
  into[13] = family === Family.UNSPEC ? 0 : (family << 4) | Transport.STREAM;
  let at: number = V2_FIXED_BYTES;
  if (family !== Family.UNSPEC) at = writeEndpoints(into, at, family, endpoints!);
  for (const { type, value } of options.tlvs ?? []) {
    at = writeTlvHeader(into, at, type, value.length);
    if (value.copy(into, at) < value.length) throw new RangeError('no room for a TLV');
    at += value.length;
  }
  const crcAt = at + TLV_HEADER_BYTES;
  if (options.crc32c) at = writeTlvHeader(into, at, ProxyTlvType.CRC32C, 4) + 4;
  into.writeUInt16BE(at - V2_FIXED_BYTES, 14);
  if (options.crc32c) into.writeUInt32BE(crc32c(into, 0, at, crcAt), crcAt);
  return at;
}

function familyOf({ source, destination }: ProxyEndpoints): number {
  if (source.family === 'unix' || destination.family === 'unix') {
    return source.family === destination.family ? Family.UNIX : Family.UNSPEC;
  }
  return source.family === 'inet' && destination.family === 'inet' ? Family.INET : Family.INET6;
}

function writeEndpoints(
  into: Buffer,
  at: number,
  family: number,
  { source, destination }: ProxyEndpoints,
): number {
  const host = hostBytes[family]!;
  writeHost(into, at, family, source);
  writeHost(into, at + host, family, destination);
  if (source.family === 'unix' || destination.family === 'unix') return at + 2 * host;
  into.writeUInt16BE(source.port, at + 2 * host);
  into.writeUInt16BE(destination.port, at + 2 * host + PORT_BYTES);
  return at + 2 * (host + PORT_BYTES);
}

function writeHost(into: Buffer, at: number, family: number, address: SocketAddress): void {
  into.fill(0, at, at + hostBytes[family]!);
  if (address.family === 'unix') {
    const path = address.path.startsWith('@') ? `\0${address.path.slice(1)}` : address.path;
    into.write(path, at, SockaddrUn.pathBytes);
    return;
  }
  const zone = address.host.indexOf('%');
  const host = zone < 0 ? address.host : address.host.slice(0, zone);
  const text = family === Family.INET6 && address.family === 'inet' ? `::ffff:${host}` : host;
  const isRight = family === Family.INET ? readIPv4(text, into, at) : readIPv6(text, into, at);
  if (!isRight) throw new RangeError(`not an address of its family: ${address.host}`);
}

function writeTlvHeader(into: Buffer, at: number, type: number, length: number): number {
  into.writeUInt8(type, at);
  into.writeUInt16BE(length, at + 1);
  return at + TLV_HEADER_BYTES;
}
