// Requests, clients and routes in the few words a test needs.

import { parseNetwork } from '#src/config/index.js';
import type { GuardSnapshot } from '#src/proxy/http/guarding/index.js';
import type { HttpRouteSnapshot, MatchSnapshot } from '#src/proxy/http/http-snapshot.js';
import { RequestHead } from '#src/proxy/http/message/request-head.js';
import { routeDefaults } from '#src/proxy/http/route-defaults.js';
import { type ConnectionFacts, HttpClient } from '#src/proxy/http/routing/index.js';
import { type Network, NetworkSet } from '#src/proxy/network-set.js';

/** The parsed head of a request; `text` may leave the `\r`, the last empty line and Host out. */
export function headOf(text: string): RequestHead {
  const lines = text.replaceAll('\r', '').trimEnd().split('\n');
  if (!lines[0]!.includes(' HTTP/')) lines[0] += ' HTTP/1.1';
  if (!/^host:/im.test(text)) lines.push('Host: example.com');
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const head = new RequestHead({ headers: 100, headBytes: 65_536 });
  const length = head.parse(bytes, 0, bytes.length);
  if (length !== bytes.length) throw new Error(`not a head (${length}): ${text}`);
  return head;
}

export function networks(...texts: string[]): Network[] {
  return texts.map((text) => {
    const parsed = parseNetwork(text);
    if (!parsed.ok) throw new Error(parsed.reason);
    return parsed.value;
  });
}

/** A client at `ip`, by plain HTTP unless told. */
export function clientAt(
  ip: string,
  facts: Partial<ConnectionFacts> = {},
  trusted: readonly Network[] = [],
): HttpClient {
  const family = ip.includes(':') ? ('inet6' as const) : ('inet' as const);
  const all: ConnectionFacts = {
    source: { family, host: ip, port: 40_000 },
    scheme: 'http',
    serverName: undefined,
    tlsSubject: undefined,
    tlsVersion: undefined,
    ...facts,
  };
  return new HttpClient(all, new NetworkSet(trusted));
}

export function matchOf(match: Partial<MatchSnapshot> = {}): MatchSnapshot {
  return { ...routeDefaults.match, ...match };
}

/** Everybody may do everything. */
export const openGuard: GuardSnapshot = routeDefaults.guard;

/** A route that forwards to the first upstream. */
export function routeOf(route: Partial<HttpRouteSnapshot> = {}): HttpRouteSnapshot {
  return {
    ...routeDefaults,
    name: 'route',
    action: {
      kind: 'forward',
      targets: [{ upstream: 0, name: 'app', host: '127.0.0.1:3000', weight: 1 }],
    },
    ...route,
  };
}
