import { isIPv4, isIPv6 } from 'node:net';
import { accepted, type Parsed, refused } from './parsed.js';

/** An address and how many of its leading bits count. */
export interface Network {
  /** 4 or 16 bytes, network byte order; those that do not count are zero. */
  bytes: number[];
  /** 0 to 32, or 0 to 128. */
  prefixBits: number;
}

/** What a message calls these values. */
export const NETWORK = 'a network (IPv4/bits, IPv6/bits) or one address';

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or one address. Bits of the address behind the prefix are a
 * mistake: either the network or the one host was meant, and only the author knows which.
 */
export function parseNetwork(text: string): Parsed<Network> {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const bytes = readAddress(host);
  if (bytes === undefined) {
    const isBracketed = host.startsWith('[');
    return refused(
      isBracketed
        ? `brackets, expected ${NETWORK}`
        : `"${host}" is not an IP address, expected ${NETWORK}`,
    );
  }
  if (bytes.length === 16 && isMapped(bytes)) {
    const four = bytes.slice(12).join('.');
    return refused(`an IPv4 address inside an IPv6 one, expected the IPv4 one, as in ${four}`);
  }
  const most = bytes.length * 8;
  const digits = slash < 0 ? String(most) : text.slice(slash + 1);
  const prefixBits = /^(0|[1-9]\d*)$/.test(digits) ? Number(digits) : Number.NaN;
  if (!(prefixBits <= most)) {
    return refused(`"${digits}" is not a number of bits, expected 0 to ${most}`);
  }
  const masked = bytes.map((byte, index) => byte & mask(prefixBits - index * 8));
  if (masked.some((byte, index) => byte !== bytes[index])) {
    const network = `${format(masked)}/${prefixBits}`;
    return refused(`the address has bits behind the first ${prefixBits}, expected ${network}`);
  }
  return accepted({ bytes: masked, prefixBits });
}

/** @param bits of the byte that count; below 0 and above 8 for none and all */
function mask(bits: number): number {
  return (0xff00 >> Math.max(0, Math.min(8, bits))) & 0xff;
}

function isMapped(bytes: readonly number[]): boolean {
  return bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255 && bytes[11] === 255;
}

function readAddress(host: string): number[] | undefined {
  if (isIPv4(host)) return host.split('.').map(Number);
  if (!isIPv6(host) || host.includes('%')) return undefined;
  // URL writes every form of RFC 4291 §2.2 as groups with at most one `::`.
  const [head, tail] = canonical(host)
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  const zeros = tail === undefined ? 0 : 8 - head!.length - tail.length;
  const groups = [...head!, ...Array<string>(zeros).fill('0'), ...(tail ?? [])];
  return groups.flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function format(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((bytes[index * 2]! << 8) | bytes[index * 2 + 1]!).toString(16),
  );
  return canonical(groups.join(':'));
}

function canonical(host: string): string {
  return new URL(`http://[${host}]`).hostname.slice(1, -1);
}
