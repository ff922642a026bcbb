import { CASE_BIT, HYPHEN, UNDERSCORE } from './characters.js';
import { headerNames } from './header-name.js';

/** FNV-1a. */
export const NAME_SEED = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

/**
 * RFC 9110 §6.5.1: who merges trailers into the head would frame, route, authenticate or decode the message otherwise
 * than we did.
 */
const unsafe = [
  ...['transfer-encoding', 'content-length', 'host', 'connection', 'upgrade', 'expect', 'te'],
  ...['trailer', 'keep-alive', 'proxy-connection', 'max-forwards', 'cache-control', 'range'],
  ...['authorization', 'proxy-authorization', 'proxy-authenticate', 'www-authenticate'],
  ...['cookie', 'set-cookie', 'content-encoding', 'content-type', 'content-range'],
  ...['forwarded', 'via', 'x-real-ip'],
  ...headerNames.filter((name) => name.startsWith('x-forwarded-')),
];

/**
 * The hash of a name, or of its beginning, with one byte more. Underscores count as hyphens: where fields become
 * variables (CGI, RFC 3875 §4.1.18) they are the same.
 */
export function mixName(hash: number, byte: number): number {
  const letter = byte === UNDERSCORE ? HYPHEN : byte | CASE_BIT;
  return Math.imul(hash ^ letter, HASH_PRIME) | 0;
}

function hashOf(name: string): number {
  return [...Buffer.from(name)].reduce(mixName, NAME_SEED);
}

/**
 * Names of trailer fields: those that must not come so late in any message, and more.
 *
 * The names are compared by a hash of 32 bits, so that a name need not be kept while it comes in pieces: the
 * price is that one of four thousand million other names is refused as well.
 */
export class TrailerNames {
  /** Those of any message. */
  static readonly usual = new TrailerNames([]);
  private readonly names: ReadonlySet<number>;
  private readonly beginnings: ReadonlySet<number>;

  /**
   * @param more in any case; with `*` at its end, all names that begin so
   * @param usual what they are more than
   */
  constructor(more: Iterable<string>, usual: readonly string[] = unsafe) {
    const all = [...usual, ...more];
    this.names = new Set(all.map(hashOf));
    const beginnings = all.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
    this.beginnings = new Set(beginnings.map(hashOf));
  }

  /** @param hash of a whole name */
  has(hash: number): boolean {
    return this.names.has(hash);
  }

  /** Whether all names that go on behind this are among them. */
  isBeginning(hash: number): boolean {
    return this.beginnings.size > 0 && this.beginnings.has(hash);
  }
}
