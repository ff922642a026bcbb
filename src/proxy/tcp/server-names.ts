import { domainToASCII } from 'node:url';
import type { ClientHello } from './client-hello.js';
import { Rejection } from './head-rejection.js';
import { checkHostName } from './host-name.js';

/** One route of a listener, as far as a ClientHello decides about it. */
export interface ServerNameRule {
  /**
   * Exact names, `*.example.com`, or `*` for any name at all. Empty: also streams without a name.
   */
  readonly names: readonly string[];
  /** The client must offer one of these; absent: whatever it offers. */
  readonly alpn?: readonly string[];
}

/** A pattern, with the rules that name it in the order of the configuration. */
interface Entry {
  /** An exact name, or what follows the `*`, the dot included: no name begins with a dot. */
  readonly text: string;
  readonly routes: { readonly index: number; readonly alpn: readonly string[] | undefined }[];
}

/** What a TLS stream says of where it wants to go: in its ClientHello, or when it was agreed on. */
export type StreamName = Pick<ClientHello, 'serverName' | 'alpn'>;

const NO_ROUTE = -1;
const DOT = 0x2e;

/** Labels in any script, with their dots. */
const LABELS = /^[\w.\-\u0080-\u{10ffff}]+$/u;

/** FNV-1a, from the last character to the first, kept to 30 bits: V8's small integers. */
const HASH_SEED = 0x011c9dc5;
const HASH_PRIME = 0x01000193;
const HASH_MASK = 0x3fffffff;

/**
 * Finds the route for a ClientHello. As in nginx, an exact name wins over every wildcard, a longer
 * wildcard over a shorter one, and `*.example.com` stands for any number of labels but at least one: for
 * `a.example.com` and `a.b.example.com`, not for `example.com`. (HAProxy's `-m end .example.com` is the
 * same; Caddy's `*` stands for one label, as in a certificate.) The order of rules decides only between
 * rules of the same pattern. A rule whose ALPN condition fails is as if it were not there.
 *
 * Built once. A look-up hashes the name once, from its end, and asks one table at each dot: its cost
 * is the name's length, however many names there are, and it allocates nothing.
 */
export class ServerNames {
  private readonly entries = new Map<number, Entry[]>();
  /** `*`: every name. */
  private readonly anyName: Entry = { text: '', routes: [] };
  /** Rules without names: the defaults, for streams without a name as well. */
  private readonly fallback: Entry = { text: '', routes: [] };

  /**
   * @param rules a route's index is its position here
   * @throws RangeError naming a pattern that no server_name can match
   */
  constructor(rules: readonly ServerNameRule[]) {
    for (const [index, { names, alpn }] of rules.entries()) {
      const route = { index, alpn };
      if (names.length === 0) this.fallback.routes.push(route);
      for (const name of names) this.entryFor(name).routes.push(route);
    }
  }

  /** @returns the index of a rule, or a negative rejection that says what there was none for */
  find({ serverName: name, alpn }: StreamName): number {
    let route = firstRoute(this.fallback, alpn);
    let isKnown = this.fallback.routes.length > 0;
    if (name === undefined) return route >= 0 ? route : -missing(isKnown, false);
    isKnown ||= this.anyName.routes.length > 0;
    route = betterRoute(this.anyName, alpn, route);
    let hash = HASH_SEED;
    for (let at = name.length - 1; at >= 0; at--) {
      const code = name.charCodeAt(at);
      hash = mix(hash, code);
      if (code !== DOT && at > 0) continue;
      const entry = this.lookUp(hash, name, at);
      if (entry === undefined) continue;
      isKnown = true;
      route = betterRoute(entry, alpn, route);
    }
    return route >= 0 ? route : -missing(isKnown, true);
  }

  private lookUp(hash: number, name: string, at: number): Entry | undefined {
    const entries = this.entries.get(hash);
    if (entries === undefined) return undefined;
    for (const entry of entries) {
      if (entry.text.length === name.length - at && name.endsWith(entry.text)) return entry;
    }
    return undefined;
  }

  private entryFor(pattern: string): Entry {
    if (pattern === '*') return this.anyName;
    const text = textOf(pattern);
    let hash = HASH_SEED;
    for (let at = text.length - 1; at >= 0; at--) hash = mix(hash, text.charCodeAt(at));
    const entries = this.entries.get(hash) ?? [];
    this.entries.set(hash, entries);
    const known = entries.find((entry) => entry.text === text);
    if (known !== undefined) return known;
    const entry: Entry = { text, routes: [] };
    entries.push(entry);
    return entry;
  }
}

function mix(hash: number, code: number): number {
  return Math.imul(hash ^ code, HASH_PRIME) & HASH_MASK;
}

/** Names in other scripts may be written as people read them: clients send their A-labels (RFC 5890). */
function textOf(pattern: string): string {
  const isWildcard = pattern.startsWith('*.');
  const written = isWildcard ? pattern.slice(2) : pattern;
  // domainToASCII() reads as far as a URL's host goes, and would take `a/b` for `a`.
  const name = LABELS.test(written) ? domainToASCII(written) : '';
  const bytes = Buffer.from(name, 'latin1');
  if (bytes.length === 0 || checkHostName(bytes, 0, bytes.length) < 0) {
    throw new RangeError(`not a server name: ${pattern}`);
  }
  return isWildcard ? `.${name}` : name;
}

function firstRoute({ routes }: Entry, offered: readonly string[]): number {
  for (const { index, alpn } of routes) {
    if (alpn === undefined) return index;
    for (const protocol of alpn) if (offered.includes(protocol)) return index;
  }
  return NO_ROUTE;
}

function betterRoute(entry: Entry, offered: readonly string[], other: number): number {
  const route = firstRoute(entry, offered);
  return route === NO_ROUTE ? other : route;
}

function missing(isKnown: boolean, hasName: boolean): Rejection {
  if (isKnown) return Rejection.alpn_unknown;
  return hasName ? Rejection.server_name_unknown : Rejection.server_name_missing;
}
