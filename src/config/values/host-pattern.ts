import { isIPv4, isIPv6 } from 'node:net';
import { accepted, type Parsed, refused } from './parsed.js';
import { parseServerName } from './server-name.js';

/** What a message calls these values. */
export const HOST_PATTERN = 'a host (example.com, *.example.com, an IP address, or *)';

/**
 * Reads a pattern for the host of a request: a name, `*.` and a name, an address, or `*` for any. The
 * value is as hosts are compared: lower case, A-labels, IPv6 in brackets.
 */
export function parseHostPattern(text: string): Parsed<string> {
  if (isIPv4(text)) return accepted(text);
  const bare = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  if (isIPv6(bare) && !bare.includes('%')) return accepted(new URL(`http://[${bare}]`).hostname);
  if (/:\d+$/.test(text)) return refused(`a port, expected ${HOST_PATTERN}`);
  const parsed = parseServerName(text);
  if (parsed.ok) return parsed;
  return refused(parsed.reason.replace(/expected .*$/, `expected ${HOST_PATTERN}`));
}
