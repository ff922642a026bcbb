import {
  decodeAddress,
  readIPv4,
  readIPv6,
  SockaddrIn6,
  Socket,
  type SocketAddress,
} from '../../splice/index.js';
import { PARTIAL, Rejection } from './head-rejection.js';
import type { ProxyEndpoints, ProxyHeader } from './proxy-header.js';

/** proxy-protocol.txt §2.1: the longest line, CR and LF included. */
export const V1_BYTES_MAX = 107;

const KEYWORD = 'PROXY ';
const CR = 0x0d;
const LF = 0x0a;
const PORT_MAX = 65535;
/** Without a sign, without leading zeros. */
const DECIMAL = /^(0|[1-9]\d*)$/;

/** The unspecified way of saying nothing, for addresses that v1 has no words for. */
const UNKNOWN_LINE = 'PROXY UNKNOWN\r\n';

/** A sockaddr of either family, for {@link decodeAddress}; free again after each call. */
const sockaddr = Buffer.from(new ArrayBuffer(SockaddrIn6.size));

/**
 * Parses a line of version 1 (proxy-protocol.txt §2.1), to the letter: single spaces, no leading zeros,
 * CR and LF together and nowhere else.
 *
 * @returns bytes of the line, PARTIAL, or a negative rejection
 */
export function parseV1(bytes: Buffer, start: number, end: number, header: ProxyHeader): number {
  for (let at = start; at < end && at - start < KEYWORD.length; at++) {
    if (bytes[at] !== KEYWORD.charCodeAt(at - start)) return -Rejection.proxy_missing;
  }
  const limit = Math.min(end, start + V1_BYTES_MAX);
  let at = start + KEYWORD.length;
  while (at < limit && bytes[at] !== CR && bytes[at] !== LF) at++;
  if (at + 1 < limit) {
    if (bytes[at] !== CR || bytes[at + 1] !== LF) return -Rejection.proxy_line_malformed;
    const result = readLine(bytes.toString('latin1', start + KEYWORD.length, at), header);
    return result < 0 ? result : at + 2 - start;
  }
  if (limit - start === V1_BYTES_MAX) return -Rejection.proxy_line_malformed;
  if (at < limit && bytes[at] === LF) return -Rejection.proxy_line_malformed;
  header.wantedBytes = end - start + 1;
  return PARTIAL;
}

/** @param line what stands between the keyword and the end of the line */
function readLine(line: string, header: ProxyHeader): number {
  header.version = 1;
  header.isLocal = false;
  header.endpoints = undefined;
  header.tlvs = [];
  // Whatever follows UNKNOWN is to be ignored.
  if (line === 'UNKNOWN' || line.startsWith('UNKNOWN ')) return 0;
  const isIPv4 = line.startsWith('TCP4 ');
  if (!isIPv4 && !line.startsWith('TCP6 ')) return -Rejection.proxy_line_malformed;
  const [, sourceHost, destinationHost, sourcePort, destinationPort, ...more] = line.split(' ');
  if (destinationPort === undefined || more.length > 0) return -Rejection.proxy_line_malformed;
  const source = readAddress(isIPv4, sourceHost!, sourcePort!);
  const destination = readAddress(isIPv4, destinationHost!, destinationPort);
  if (source === undefined || destination === undefined) {
    return -Rejection.proxy_address_malformed;
  }
  header.endpoints = { source, destination };
  return 0;
}

function readAddress(isIPv4: boolean, host: string, portText: string): SocketAddress | undefined {
  if (!DECIMAL.test(portText) || Number(portText) > PORT_MAX) return undefined;
  const port = Number(portText);
  if (isIPv4) {
    return readIPv4(host, sockaddr, 0) ? { family: 'inet', host, port } : undefined;
  }
  if (!readIPv6(host, sockaddr, SockaddrIn6.address)) return undefined;
  // Into bytes and back: one address has one spelling (RFC 5952), and IPv4 in IPv6 becomes IPv4.
  sockaddr.writeUInt16LE(Socket.AF_INET6, SockaddrIn6.family);
  sockaddr.writeUInt16BE(port, SockaddrIn6.port);
  sockaddr.writeUInt32LE(0, SockaddrIn6.scopeId);
  return decodeAddress(sockaddr, SockaddrIn6.size);
}

/**
 * Writes a line of version 1. Where one address is IPv4 and the other IPv6, the first is written as
 * IPv4 in IPv6. Unix addresses, and none at all, make it UNKNOWN.
 *
 * @param into at least 107 bytes
 * @returns bytes written at the beginning of `into`
 */
export function writeProxyV1(into: Buffer, endpoints: ProxyEndpoints | undefined): number {
  return into.write(endpoints === undefined ? UNKNOWN_LINE : lineOf(endpoints), 'latin1');
}

function lineOf({ source, destination }: ProxyEndpoints): string {
  if (source.family === 'unix' || destination.family === 'unix') return UNKNOWN_LINE;
  const isIPv4 = source.family === 'inet' && destination.family === 'inet';
  const hosts = isIPv4
    ? `TCP4 ${source.host} ${destination.host}`
    : `TCP6 ${hostIPv6(source)} ${hostIPv6(destination)}`;
  return `PROXY ${hosts} ${source.port} ${destination.port}\r\n`;
}

/** A zone means something on one machine only, and is left out. */
function hostIPv6({ family, host }: Exclude<SocketAddress, { family: 'unix' }>): string {
  if (family === 'inet') return `::ffff:${host}`;
  const zone = host.indexOf('%');
  return zone < 0 ? host : host.slice(0, zone);
}
