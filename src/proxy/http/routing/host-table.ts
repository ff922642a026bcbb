import type { RequestHead } from '../message/index.js';

const DOT = 0x2e;
const BRACKET = 0x5b;

/** FNV-1a, from the last byte to the first, kept to 30 bits: V8's small integers. */
const HASH_SEED = 0x011c9dc5;
const HASH_PRIME = 0x01000193;
const HASH_MASK = 0x3fffffff;

interface Entry<Value> {
  /** Lower case; of a wildcard what follows the star, the dot included: no host begins with a dot. */
  readonly text: Buffer;
  readonly value: Value;
}

/**
 * Values by host: exact names and addresses, and wildcards for any number of labels but at least one.
 * The host is hashed once, from its end, and a table asked at each dot: the cost is its length, however
 * many hosts there are.
 */
export class HostTable<Value> {
  private readonly entries = new Map<number, Entry<Value>[]>();
  private readonly anyHost: Value;
  private count = 0;

  constructor(private readonly make: () => Value) {
    this.anyHost = make();
  }

  /** The value of a pattern, made if there is none. @param pattern `*`, `*.example.com` or a host, lower case */
  valueFor(pattern: string): Value {
    if (pattern === '*') return this.anyHost;
    const text = Buffer.from(pattern.replace(/^\*/, ''), 'latin1');
    let hash = HASH_SEED;
    for (let at = text.length - 1; at >= 0; at--) hash = mix(hash, text[at]!);
    const entries = this.entries.get(hash) ?? [];
    this.entries.set(hash, entries);
    const known = entries.find((entry) => entry.text.equals(text));
    if (known !== undefined) return known.value;
    const value = this.make();
    entries.push({ text, value });
    this.count++;
    return value;
  }

  /**
   * Fills `found` with what the request's host has: the value of any host first, the exact one's last.
   * @returns how many they are, at least 1
   */
  find({ bytes, authority }: RequestHead, found: Value[]): number {
    found[0] = this.anyHost;
    if (this.count === 0 || authority === undefined) return 1;
    const { hostStart } = authority;
    // The root's dot (RFC 1034 §3.1) makes no other host.
    const hostEnd = authority.hostEnd - (bytes[authority.hostEnd - 1] === DOT ? 1 : 0);
    const isAddress = bytes[hostStart] === BRACKET;
    let length = 1;
    let hash = HASH_SEED;
    for (let at = hostEnd - 1; at >= hostStart; at--) {
      const byte = lower(bytes[at]!);
      hash = mix(hash, byte);
      if ((byte !== DOT || isAddress) && at > hostStart) continue;
      const entries = this.entries.get(hash);
      if (entries === undefined) continue;
      for (const entry of entries) {
        if (equals(entry.text, bytes, at, hostEnd)) found[length++] = entry.value;
      }
    }
    return length;
  }
}

function mix(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, HASH_PRIME) & HASH_MASK;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

function equals(text: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    if (text[index] !== lower(bytes[start + index]!)) return false;
  }
  return true;
}
