import { isIP } from 'node:net';
import type { Parsed } from './parsed.js';

/** `db.example.com:5432`: every address of the host, at that port. */
export interface HostName {
  readonly kind: 'host';
  /** In lower case. Ends with a dot when the search list is not to be tried, see resolv.conf(5). */
  readonly host: string;
  readonly port: number;
}

/** `srv:_pg._tcp.example.com`: hosts, ports, weights and tiers by SRV records, see RFC 2782. */
export interface ServiceName {
  readonly kind: 'service';
  /** In lower case, without a dot at the end: the search list is never tried. */
  readonly service: string;
}

/** A name that stands for endpoints, and has to be asked for again and again. */
export type EndpointName = HostName | ServiceName;

const PREFIX = 'srv:';
const PORT_MAX = 65_535;
/** RFC 1035 §2.3.4, without the length byte of the root. */
const NAME_LENGTH_MAX = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** Reads `name:port` or `srv:name`. What is refused says what was expected. */
export function parseEndpointName(text: string): Parsed<EndpointName> {
  const lower = text.toLowerCase();
  if (lower.startsWith(PREFIX)) return parseServiceName(lower.slice(PREFIX.length));
  const colon = lower.lastIndexOf(':');
  if (colon < 0) return refused('no port, expected name:port');
  const host = lower.slice(0, colon);
  const reason = wrongWith(host);
  if (reason !== undefined) return refused(reason);
  const digits = lower.slice(colon + 1);
  const port = Number(digits);
  if (!/^[1-9]\d*$/.test(digits) || port > PORT_MAX) {
    return refused(`"${digits}" is not a port, expected a number from 1 to ${PORT_MAX}`);
  }
  return { ok: true, value: { kind: 'host', host, port } };
}

/** What is asked for: names with the same text share their lookups, whatever their ports. */
export function lookupText(name: EndpointName): string {
  return name.kind === 'host' ? name.host : `${PREFIX}${name.service}`;
}

function parseServiceName(name: string): Parsed<ServiceName> {
  if (/:\d*$/.test(name)) {
    return refused('a port, expected srv:name alone: SRV records have the ports');
  }
  const reason = wrongWith(name);
  if (reason !== undefined) return refused(reason);
  return { ok: true, value: { kind: 'service', service: withoutDot(name) } };
}

/** The same name without the dot that says it is complete. */
export function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

function wrongWith(name: string): string | undefined {
  const bare = withoutDot(name);
  if (bare === '') return 'no name, expected one such as db.example.com';
  if (isIP(bare) !== 0) return `"${bare}" is an address, expected a name`;
  if (/^[\d.]+$/.test(bare)) return `"${bare}" is neither a name nor an address`;
  if (bare.length > NAME_LENGTH_MAX) {
    return `${bare.length} characters of name, expected at most ${NAME_LENGTH_MAX}`;
  }
  const label = bare.split('.').find((label) => !LABEL.test(label));
  if (label === undefined) return undefined;
  return `"${label}" is not part of a name, expected up to 63 letters, digits, "-" and "_"`;
}

function refused(reason: string): Parsed<never> {
  return { ok: false, reason };
}
