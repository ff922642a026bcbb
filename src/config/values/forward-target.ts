import { type HostName, parseEndpointName, withoutDot } from './endpoint-name.js';
import { type Network, parseNetwork } from './network.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** Where clients of a forward proxy may go. */
export type ForwardTarget =
  | HostName
  /** Names that end in `suffix`, which begins with a dot or is empty. `port` 0 is any. */
  | { readonly kind: 'wildcard'; readonly suffix: string; readonly port: number }
  /** Addresses, as clients write them. `port` 0 is any. */
  | { readonly kind: 'network'; readonly network: Network; readonly port: number };

/** What a message calls these values. */
export const FORWARD_TARGET =
  'a target (name:port, *.name:port, 10.0.0.0/8:port or [2001:db8::/32]:port; the port may be *, but for a name)';

const PORT_MAX = 65_535;

/** Reads `api.example.com:443`, `10.0.0.0/8:80`, `[2001:db8::1]:*`. */
export function parseForwardTarget(text: string): Parsed<ForwardTarget> {
  const [, host, digits] = /^(.*):([^:\]]*)$/s.exec(text) ?? [];
  if (host === undefined || digits === undefined) {
    return refused(`no port, expected ${FORWARD_TARGET}`);
  }
  if (/^(srv|unix):/i.test(text)) {
    return refused(`neither a name nor a network, expected ${FORWARD_TARGET}`);
  }
  const isNetwork = /^\[.*\]$/s.test(host) || /^[\d./]+$/.test(host);
  if (/^\[[^\]]*\]\/\d+$/.test(host)) {
    return refused(`a length behind the bracket, expected ${FORWARD_TARGET}`);
  }
  if (!isNetwork && host.includes(':')) {
    return refused(`an IPv6 address without brackets, expected ${FORWARD_TARGET}`);
  }
  if (host.includes('*')) return parseWildcard(host, digits);
  if (!isNetwork) return parseName(text, digits);
  const parsed = parseNetwork(host.replace(/^\[|\]$/g, ''));
  if (!parsed.ok) return parsed;
  const port = parsePort(digits);
  return port.ok ? accepted({ kind: 'network', network: parsed.value, port: port.value }) : port;
}

/** @returns 0 for any */
function parsePort(digits: string): Parsed<number> {
  if (digits === '*') return accepted(0);
  const port = Number(digits);
  return /^[1-9]\d*$/.test(digits) && port <= PORT_MAX
    ? accepted(port)
    : refused(`"${digits}" is not a port, expected a number from 1 to ${PORT_MAX}, or *`);
}

/** Reads `*.internal` and `*`. */
function parseWildcard(host: string, digits: string): Parsed<ForwardTarget> {
  if (!/^\*(\.[^*]+)?$/.test(host)) {
    return refused('a wildcard in the middle, expected * or *. before the rest of a name');
  }
  const port = parsePort(digits);
  if (!port.ok) return port;
  if (host === '*') return accepted({ kind: 'wildcard', suffix: '', port: port.value });
  const rest = parseEndpointName(`${host.slice(2)}:1`);
  if (!rest.ok) return rest;
  const suffix = `.${withoutDot((rest.value as HostName).host)}`;
  return accepted({ kind: 'wildcard', suffix, port: port.value });
}

function parseName(text: string, digits: string): Parsed<ForwardTarget> {
  if (digits === '*') return refused('any port of a name, expected one port: name:port');
  const parsed = parseEndpointName(text);
  if (!parsed.ok) return parsed;
  return accepted(parsed.value as HostName);
}
