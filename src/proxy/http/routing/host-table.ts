import { readIPv6 } from '../../../splice/index.js';
import type { RequestHead } from '../message/index.js';

const DOT = 0x2e;
const BRACKET = 0x5b;

/** FNV-1a, from the last byte to the first, kept to 30 bits: V8's small integers. */
const HASH_SEED = 0x011c9dc5;
const HASH_PRIME = 0x01000193;
const HASH_MASK = 0x3fffffff;

const addressBytes = Buffer.alloc(16);

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
  /** By the bytes of an IPv6 address, a character a byte: there are many ways to write one. */
  private readonly addresses = new Map<string, Value>();
  private readonly anyHost: Value;
  private count = 0;

  constructor(private readonly make: () => Value) {
    this.anyHost = make();
  }

  /** The value of a pattern, made if there is none. @param pattern `*`, `*.example.com` or a host, lower case */
  valueFor(pattern: string): Value {
    if (pattern === '*') return this.anyHost;
    if (pattern.startsWith('[')) return this.valueForAddress(addressOf(pattern));
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

  private valueForAddress(address: string): Value {
    const value = this.addresses.get(address) ?? this.make();
    this.addresses.set(address, value);
    this.count++;
    return value;
  }

  /**
   * Fills `found` with what the request's host has: the value of any host first, the exact one's last.
   * @returns how many they are, at least 1
   */
  find(head: RequestHead, found: Value[]): number {
    const { bytes, authority } = head;
    found[0] = this.anyHost;
    if (this.count === 0 || authority === undefined) return 1;
    const { hostStart } = authority;
    if (bytes[hostStart] === BRACKET) {
      const value = this.addresses.get(addressOf(head.hostName));
      if (value === undefined) return 1;
      found[1] = value;
      return 2;
    }
    // The root's dot (RFC 1034 §3.1) makes no other host.
    const hostEnd = authority.hostEnd - (bytes[authority.hostEnd - 1] === DOT ? 1 : 0);
    let length = 1;
    let hash = HASH_SEED;
    for (let at = hostEnd - 1; at >= hostStart; at--) {
      const byte = lower(bytes[at]!);
      hash = mix(hash, byte);
      if (byte !== DOT && at > hostStart) continue;
      const entries = this.entries.get(hash);
      if (entries === undefined) continue;
      for (const entry of entries) {
        if (equals(entry.text, bytes, at, hostEnd)) found[length++] = entry.value;
      }
    }
    return length;
  }
}

/** @param text with its brackets */
function addressOf(text: string): string {
  readIPv6(text.slice(1, -1), addressBytes, 0);
  return addressBytes.toString('latin1');
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
