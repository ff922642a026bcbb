import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const SERVER_NAME = 'a server name (db.example.com, *.example.com or *)';

/** What a message calls the name of a peer. */
export const PEER_NAME = 'a host name or an address';

/** What a message calls the names in a certificate. */
export const SUBJECT_NAME = 'a name or an address (localhost, *.example.com, 192.0.2.7)';

/** What OpenSSL takes, and RFC 1035 §2.3.4. */
const NAME_LENGTH_MAX = 255;
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * Reads a pattern for the server_name of a ClientHello: a name, `*.` and a name, or `*` for any name.
 * The value is as names are compared: lower case, other scripts as A-labels (RFC 5890).
 */
export function parseServerName(text: string): Parsed<string> {
  if (text === '*') return accepted(text);
  const prefix = text.startsWith('*.') ? '*.' : '';
  const written = text.slice(prefix.length);
  if (isIP(written) !== 0) {
    return refused(`an address, which no client sends as a name, expected ${SERVER_NAME}`);
  }
  if (/:\d+$/.test(written)) return refused(`a port, expected ${SERVER_NAME}`);
  if (written.includes('*')) {
    return refused(`a "*" that is not a whole first label, expected ${SERVER_NAME}`);
  }
  if (written.endsWith('.')) return refused(`a dot at the end, expected ${SERVER_NAME}`);
  const isPlain = /^[\w.\-\u0080-\u{10ffff}]+$/u.test(written);
  const name = isPlain ? domainToASCII(written) : '';
  const isName =
    name !== '' &&
    name.length <= NAME_LENGTH_MAX &&
    !/^[\d.]+$/.test(name) &&
    name.split('.').every((label) => LABEL.test(label));
  return isName
    ? accepted(`${prefix}${name}`)
    : refused(`not a host name, expected ${SERVER_NAME}`);
}

/** Reads whom a TLS peer is expected to be: one name, or an address. */
export function parsePeerName(text: string): Parsed<string> {
  if (isIP(text) !== 0 && !text.includes('%')) return accepted(text);
  const name = parseServerName(text);
  if (name.ok && !name.value.startsWith('*')) return name;
  const reason = name.ok ? 'a wildcard' : name.reason.replace(/, expected .*$/, '');
  return refused(`${reason}, expected ${PEER_NAME}`);
}

/** Reads a name that a certificate may be for: an address, too, but not every name. */
export function parseSubjectName(text: string): Parsed<string> {
  if (isIP(text) !== 0) return accepted(text);
  const name = parseServerName(text);
  return name.ok && name.value !== '*' ? name : refused(`not a name, expected ${SUBJECT_NAME}`);
}
