import { Socket } from './constants.js';
import { readIPv4, readIPv6 } from './ip-text.js';
import { NativeMemory } from './memory.js';
import { SockaddrIn, SockaddrIn6, SockaddrUn } from './structs.js';

/** Where a stream socket listens or connects to. */
export type SocketAddress =
  | { readonly family: 'inet' | 'inet6'; readonly host: string; readonly port: number }
  | { readonly family: 'unix' /** a path, or `@` and an abstract name */; readonly path: string };

/** An address as the kernel takes it, ready to be passed to bind(2) or connect(2) again and again. */
export class Sockaddr {
  readonly domain: number;
  readonly memory: NativeMemory;
  /** Bytes that count: of a unix address, only up to the end of its name. */
  readonly byteLength: number;

  /**
   * @throws RangeError when the host is not a numeric address of the family, the port is outside
   *   0–65535, or a unix name is empty, longer than 107 bytes or a path with a NUL byte
   */
  constructor(readonly address: SocketAddress) {
    const encoded = address.family === 'unix' ? encodeUnix(address.path) : encodeInet(address);
    this.domain = encoded.readUInt16LE(0);
    this.byteLength = encoded.byteLength;
    this.memory = new NativeMemory(encoded.byteLength);
    encoded.copy(this.memory.bytes);
  }

  toString(): string {
    return formatAddress(this.address);
  }
}

function encodeUnix(path: string): Buffer {
  const isAbstract = path.startsWith('@');
  // A path ends with a NUL that counts; an abstract name begins with one and ends where the length
  // says.
  if (!isAbstract && path.includes('\0')) throw new RangeError('unix path with a NUL byte');
  const name = Buffer.from(isAbstract ? `\0${path.slice(1)}` : `${path}\0`);
  if (name.length < 2 || name.length > SockaddrUn.pathBytes) {
    throw new RangeError(
      `unix name of ${name.length - 1} bytes, expected 1 to ${SockaddrUn.pathBytes - 1}`,
    );
  }
  const sockaddr = Buffer.alloc(SockaddrUn.path + name.length);
  sockaddr.writeUInt16LE(Socket.AF_UNIX, SockaddrUn.family);
  name.copy(sockaddr, SockaddrUn.path);
  return sockaddr;
}

function encodeInet(address: { family: 'inet' | 'inet6'; host: string; port: number }): Buffer {
  const { family, host, port } = address;
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new RangeError(`port ${port}`);
  if (family === 'inet') {
    const sockaddr = Buffer.alloc(SockaddrIn.size);
    if (!readIPv4(host, sockaddr, SockaddrIn.address)) {
      throw new RangeError(`not an IPv4 address: ${host}`);
    }
    sockaddr.writeUInt16LE(Socket.AF_INET, SockaddrIn.family);
    sockaddr.writeUInt16BE(port, SockaddrIn.port);
    return sockaddr;
  }
  const [literal, zone, ...more] = host.split('%');
  const sockaddr = Buffer.alloc(SockaddrIn6.size);
  if (more.length > 0 || !readIPv6(literal!, sockaddr, SockaddrIn6.address)) {
    throw new RangeError(`not an IPv6 address: ${host}`);
  }
  sockaddr.writeUInt16LE(Socket.AF_INET6, SockaddrIn6.family);
  sockaddr.writeUInt16BE(port, SockaddrIn6.port);
  if (zone !== undefined) sockaddr.writeUInt32LE(scopeId(zone), SockaddrIn6.scopeId);
  return sockaddr;
}

function scopeId(zone: string): number {
  if (/^\d{1,10}$/.test(zone) && Number(zone) < 2 ** 32) return Number(zone);
  throw new RangeError(`zone ${zone}: give the interface's index`);
}

/** `127.0.0.1:80`, `[::1]:80`, `unix:/path`, `unix:@name`; a nameless unix peer is `unix:`. */
export function formatAddress(address: SocketAddress): string {
  switch (address.family) {
    case 'inet':
      return `${address.host}:${address.port}`;
    case 'inet6':
      return `[${address.host}]:${address.port}`;
    case 'unix':
      return `unix:${address.path}`;
  }
}

/**
 * Reads an address that the kernel wrote (accept4(2), getsockname(2)). An IPv4 address inside an
 * IPv6 one (a dual-stack socket's client) is given as IPv4.
 *
 * @param sockaddr at least `length` bytes
 * @param length what the kernel said it wrote
 */
export function decodeAddress(sockaddr: Buffer, length: number): SocketAddress {
  switch (sockaddr.readUInt16LE(0)) {
    case Socket.AF_INET:
      return {
        family: 'inet',
        host: dotted(sockaddr, SockaddrIn.address),
        port: sockaddr.readUInt16BE(SockaddrIn.port),
      };
    case Socket.AF_INET6:
      return decodeInet6(sockaddr);
    default: {
      const end = Math.min(Math.max(length, SockaddrUn.path), SockaddrUn.size);
      const name = sockaddr.toString('utf8', SockaddrUn.path, end);
      const path = name.startsWith('\0') ? `@${name.slice(1)}` : name.replace(/\0.*$/s, '');
      return { family: 'unix', path };
    }
  }
}

/** Where the IPv4 address begins in an IPv6 address that has one inside; see {@link isMapped}. */
export const MAPPED_OFFSET = 12;
const LOOPBACK6 = Buffer.from('00000000000000000000000000000001', 'hex');
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * Whether 16 bytes are an IPv4 address inside an IPv6 one, `::ffff:0:0/96` (RFC 4291 §2.5.5.2), as of an IPv4 client
 * of a dual-stack socket.
 * @param at where they begin
 */
export function isMapped(bytes: Buffer, at: number): boolean {
  return bytes.compare(MAPPED, 0, MAPPED_OFFSET, at, at + MAPPED_OFFSET) === 0;
}

/**
 * Where the bytes of an IP address are in a sockaddr, an IPv4 address inside an IPv6 one included;
 * {@link hostLength} says how many. Allocates nothing.
 *
 * @returns −1 for an address without a host: a unix one
 */
export function hostOffset(sockaddr: Buffer): number {
  switch (sockaddr.readUInt16LE(0)) {
    case Socket.AF_INET:
      return SockaddrIn.address;
    case Socket.AF_INET6: {
      const from = SockaddrIn6.address;
      return isMapped(sockaddr, from) ? from + MAPPED_OFFSET : from;
    }
    default:
      return -1;
  }
}

/**
 * How many bytes the address of a host has.
 * @param offset what {@link hostOffset} answered, ≥ 0
 */
export function hostLength(offset: number): 4 | 16 {
  return offset === SockaddrIn6.address ? 16 : 4;
}

/** Whether only this machine has the address that the kernel wrote: 127.0.0.0/8 or ::1. Allocates nothing. */
export function isLoopbackSockaddr(sockaddr: Buffer): boolean {
  const offset = hostOffset(sockaddr);
  if (offset < 0) return false;
  if (hostLength(offset) === 4) return sockaddr[offset] === 127;
  return sockaddr.compare(LOOPBACK6, 0, 16, offset, offset + 16) === 0;
}

/** Four bytes as text. */
function dotted(bytes: Buffer, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

function decodeInet6(sockaddr: Buffer): SocketAddress {
  const port = sockaddr.readUInt16BE(SockaddrIn6.port);
  const offset = hostOffset(sockaddr);
  if (hostLength(offset) === 4) {
    return { family: 'inet', host: dotted(sockaddr, offset), port };
  }
  const groups = Array.from({ length: 8 }, (_, index) => sockaddr.readUInt16BE(offset + index * 2));
  const literal = groups.map((group) => group.toString(16)).join(':');
  const scope = sockaddr.readUInt32LE(SockaddrIn6.scopeId);
  const host = new URL(`http://[${literal}]`).hostname.slice(1, -1);
  return { family: 'inet6', host: scope === 0 ? host : `${host}%${scope}`, port };
}
