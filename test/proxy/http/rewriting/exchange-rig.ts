// One listener's policy, and what comes out of it, as text.

import { HttpPolicy } from '#src/proxy/http/http-policy.js';
import type { HttpRouteSnapshot, HttpSnapshot, Template } from '#src/proxy/http/http-snapshot.js';
import { HeadWriter } from '#src/proxy/http/message/head-writer.js';
import { Method } from '#src/proxy/http/message/method.js';
import { ResponseHead } from '#src/proxy/http/message/response-head.js';
import {
  ConnectionLine,
  type RequestDelivery,
  RequestIds,
  type ResponseDelivery,
} from '#src/proxy/http/rewriting/index.js';
import type { ConnectionFacts } from '#src/proxy/http/routing/index.js';
import { headOf, routeOf } from '../requests.js';

/** The first request's id: ten bytes of 0x61 and the number 1. */
export const FIRST_ID = `${'61'.repeat(10)}000000000001`;

export interface Listener extends Partial<Omit<HttpSnapshot, 'routes'>> {
  readonly route?: Partial<HttpRouteSnapshot>;
  readonly facts?: Partial<ConnectionFacts>;
}

/** Nothing is added to requests but what a test asks for. */
export const silent: Omit<HttpSnapshot, 'routes'> = {
  trustedProxies: [],
  xForwarded: false,
  forwarded: false,
  requestId: 'off',
  via: null,
  httpsRedirect: null,
  hsts: null,
};

export function policyOf({ route, facts, ...http }: Listener = {}) {
  const snapshot = { ...silent, ...http, routes: [routeOf(route)] };
  const policy = new HttpPolicy(snapshot, 'web', 0, new RequestIds(Buffer.alloc(10, 'a')));
  const client = policy.clientOf({
    source: { family: 'inet', host: '192.0.2.1', port: 40_000 },
    scheme: 'http',
    serverName: undefined,
    tlsSubject: undefined,
    tlsVersion: undefined,
    ...facts,
  });
  return { policy, client };
}

/** The text up to the empty line, which must be there, with plain line ends. */
function plain(bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (!text.endsWith('\r\n\r\n')) throw new Error(`no empty line: ${JSON.stringify(text)}`);
  return text.slice(0, -4).replaceAll('\r\n', '\n');
}

/** What an upstream gets. */
export function requestOut(
  listener: Listener,
  request: string,
  delivery: Partial<RequestDelivery> = {},
): string {
  const { policy, client } = policyOf(listener);
  policy.begin(headOf(request), client);
  policy.choose();
  const out = new HeadWriter().begin(Buffer.alloc(8192), 100);
  const all = { isUpgrade: false, dropsExpect: false, ...delivery };
  policy.route!.request.write(policy, all, out);
  if (out.isFull) throw new Error('no room');
  return plain(out.bytes.subarray(100, out.at));
}

/** What a client gets. @param request which the response answers */
export function responseOut(
  listener: Listener,
  response: string,
  delivery: Partial<ResponseDelivery> = {},
  request = 'GET /',
): string {
  const { policy, client } = policyOf(listener);
  policy.begin(headOf(request), client);
  policy.choose();
  const { response: rewriter } = policy.route!;
  const out = new HeadWriter().begin(Buffer.alloc(8192), 100);
  const added = rewriter.prepare(policy, out);
  const head = new ResponseHead({ headers: 100, headBytes: 65_536 });
  const bytes = Buffer.from(`${response.trimEnd().replaceAll('\n', '\r\n')}\r\n\r\n`, 'latin1');
  const parsed = head.parse(bytes, 0, bytes.length, Method.GET);
  if (parsed !== bytes.length) throw new Error(`not a head (${parsed})`);
  const all = { connection: ConnectionLine.none, dropsChunked: false, ...delivery };
  rewriter.write(head, all, out, added);
  return plain(out.bytes.subarray(100, out.at));
}

/** A text with variables, as the configuration reads it. */
export function template(text: string): Template {
  return text
    .split(/(\$[a-z_]+)/)
    .filter((part) => part !== '')
    .map((part) => (part.startsWith('$') ? { variable: part.slice(1) as never } : part));
}

/** Fields by name. */
export function fields(texts: Record<string, string>) {
  return Object.entries(texts).map(([name, text]) => ({ name, value: template(text) }));
}
