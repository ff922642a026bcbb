import { isIPv4, isIPv6 } from 'node:net';
import { accepted, type Parsed, refused } from './parsed.js';

/** The addresses that begin with the same bits. `text` is the canonical spelling. */
export interface Network {
  /** 4 or 16 bytes, network byte order; zero beyond the prefix. */
  bytes: number[];
  /** 0 to 32, or 0 to 128. */
  prefixBits: number;
  text: string;
}

/** What a message calls these values. */
export const NETWORK = 'a network (10.0.0.0/8, 2001:db8::/32, or one address)';

export const HOST = 'an IP address without a port';

/** An IPv4 address in IPv6 clothing (RFC 4291 §2.5.5.2) begins with these. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Reads `10.0.0.0/8`, `2001:db8::/32`, or an address, which is a network of one. */
export function parseNetwork(text: string): Parsed<Network> {
  const [host, digits, ...more] = text.split('/') as [string, ...string[]];
  if (more.length > 0) return refused(`more than one "/", expected ${NETWORK}`);
  if (/^\[.*\]$/.test(host)) return refused(`brackets, expected ${text.replace(/[[\]]/g, '')}`);
  if (host.includes('%')) return refused('a zone, expected a network without an interface');
  if (!isIPv4(host) && !isIPv6(host)) {
    return refused(`"${host}" is not an IP address, expected ${NETWORK}`);
  }
  const bytes = isIPv4(host) ? host.split('.').map(Number) : inet6Bytes(host);
  const longest = bytes.length * 8;
  if (digits !== undefined && !/^(0|[1-9]\d*)$/.test(digits)) {
    return refused(`"${digits}" is not a prefix length, expected a number from 0 to ${longest}`);
  }
  const prefixBits = digits === undefined ? longest : Number(digits);
  if (prefixBits > longest) {
    return refused(`prefix length ${digits} is out of range, expected 0 to ${longest}`);
  }
  const network = unmapped({ bytes: masked(bytes, prefixBits), prefixBits });
  const found = { ...network, text: networkText(network) };
  // Somebody who writes 10.1.2.3/8 means one address or a whole network: it must be said which.
  if (bytes.some((byte, index) => byte !== masked(bytes, prefixBits)[index])) {
    return refused(`"${host}" has bits beyond the prefix, expected ${found.text} or ${host}`);
  }
  return accepted(found);
}

/** Reads one address: no port, no prefix, no interface. */
export function parseHostAddress(text: string): Parsed<{ family: 'inet' | 'inet6'; host: string }> {
  if (isIPv4(text)) return accepted({ family: 'inet', host: text });
  const isPlain = isIPv6(text) && !text.includes('%');
  return isPlain ? accepted({ family: 'inet6', host: text }) : refused(`expected ${HOST}`);
}

function masked(bytes: readonly number[], prefixBits: number): number[] {
  return bytes.map((byte, index) => {
    const bits = Math.min(Math.max(prefixBits - index * 8, 0), 8);
    return byte & ~(0xff >> bits);
  });
}

/** Connections from such addresses are IPv4 connections, and are looked up as such. */
function unmapped(network: Omit<Network, 'text'>): Omit<Network, 'text'> {
  const { bytes, prefixBits } = network;
  const isMapped = prefixBits >= 96 && MAPPED.every((byte, index) => bytes[index] === byte);
  return isMapped ? { bytes: bytes.slice(12), prefixBits: prefixBits - 96 } : network;
}

function networkText({ bytes, prefixBits }: Omit<Network, 'text'>): string {
  return `${hostText(bytes)}/${prefixBits}`;
}

function hostText(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, group) =>
    ((bytes[group * 2]! << 8) | bytes[group * 2 + 1]!).toString(16),
  );
  return canonicalInet6(groups.join(':'));
}

/**
 * This room imports nobody, so that a configuration can be read anywhere, also without the system calls that the kernel
 * room loads; hence it has a reader of its own, over what URL makes of an address.
 */
function inet6Bytes(host: string): number[] {
  const [head, tail] = canonicalInet6(host)
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  const groups =
    tail === undefined
      ? head!
      : [...head!, ...Array<string>(8 - head!.length - tail.length).fill('0'), ...tail];
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

/** RFC 5952, without a dotted tail: URL does the work. */
function canonicalInet6(host: string): string {
  return new URL(`http://[${host}]`).hostname.slice(1, -1);
}
