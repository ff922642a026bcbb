import { type HostName, parseEndpointName } from './endpoint-name.js';
import { type Network, parseNetwork } from './network.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** Where clients of a forward proxy may go. */
export type ForwardTarget =
  | HostName
  /** Addresses, as clients write them. `port` 0 is any. */
  | { readonly kind: 'network'; readonly network: Network; readonly port: number };

/** What a message calls these values. */
export const FORWARD_TARGET =
  'a target (name:port, 10.0.0.0/8:port or [2001:db8::/32]:port; the port of a network may be *)';

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
  if (!isNetwork && host.includes(':')) {
    return refused(`an IPv6 address without brackets, expected ${FORWARD_TARGET}`);
  }
  if (host.includes('*')) {
    return refused(
      'a wildcard, expected a whole name: names are looked up before they are asked for',
    );
  }
  if (!isNetwork) return parseName(text, digits);
  const parsed = parseNetwork(host.replace(/^\[|\]$/g, ''));
  if (!parsed.ok) return parsed;
  const port = digits === '*' ? 0 : Number(digits);
  if (digits !== '*' && (!/^[1-9]\d*$/.test(digits) || port > PORT_MAX)) {
    return refused(`"${digits}" is not a port, expected a number from 1 to ${PORT_MAX}, or *`);
  }
  return accepted({ kind: 'network', network: parsed.value, port });
}

function parseName(text: string, digits: string): Parsed<ForwardTarget> {
  if (digits === '*') return refused('any port of a name, expected one port: name:port');
  const parsed = parseEndpointName(text);
  if (!parsed.ok) return parsed;
  return accepted(parsed.value as HostName);
}
