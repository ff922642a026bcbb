import { toFileServing } from './files-config.js';
import { toRouteTimeouts } from './http-timeouts.js';
import { toMirror } from './mirror-config.js';
import { toOutbound } from './outbound-config.js';
import type { ConfigFile } from './schema/index.js';
import {
  parseDuration,
  parseHostPattern,
  parseNetwork,
  parsePath,
  parsePathPattern,
  parseRemovableField,
  parseServerName,
  parseSize,
  parseStatusRanges,
  parseTemplate,
  type Template,
  valid,
} from './values/index.js';

type HttpFile = NonNullable<ConfigFile['listeners'][string]['http']>;
type RouteFile = NonNullable<HttpFile['routes']>[number];
type MatchFile = NonNullable<RouteFile['match']>;
type ValueFile = boolean | string | { regex: string };
type RateFile = NonNullable<NonNullable<RouteFile['limits']>['rate']>;
type EditsFile = NonNullable<RouteFile['request_headers']>;

/** A listener's `http` that was found valid, as the program uses it. */
export function toHttp(file: HttpFile) {
  const { routes, trusted_proxies = [], forwarded, request_id, via } = file;
  const mirror = toMirror(file.mirror);
  return {
    routes:
      routes === undefined
        ? [
            {
              ...plainRoute,
              name: '0',
              action: forwardTo([{ upstream: file.upstream!, weight: 1 }]),
              mirror,
            },
          ]
        : routes.map((route, index) => ({
            ...toRoute(route, index),
            mirror: toMirror(route.mirror) ?? mirror,
          })),
    trustedProxies: trusted_proxies.map((text) => valid(parseNetwork(text))),
    xForwarded: forwarded === 'x_forwarded' || forwarded === 'both',
    forwarded: forwarded === 'rfc7239' || forwarded === 'both',
    requestId: request_id,
    /** null: no such field. */
    via: via === false ? null : via,
    /** Responses without a Date get one. */
    date: file.date,
    errorPages: file.error_pages.map(({ status, html, json }) => ({
      statuses: valid(parseStatusRanges(String(status))),
      ...(html !== undefined && { html }),
      ...(json !== undefined && { json }),
    })),
    httpsRedirect: toHttpsRedirect(file.https_redirect),
    /** Value of Strict-Transport-Security; null: no such field. */
    hsts: file.hsts === undefined ? null : toHsts(file.hsts),
  };
}

function toRoute(file: RouteFile, index: number) {
  return {
    name: file.name ?? String(index),
    match: toMatch(file.match ?? {}),
    action: toAction(file),
    requestHeaders: toEdits(file.request_headers),
    responseHeaders: toEdits(file.response_headers),
    prefix: toPrefix(file),
    host: toHost(file.host),
    retries: file.retries,
    timeouts: toRouteTimeouts(file),
    rewrite: {
      location: file.rewrite?.location ?? false,
      /** From and to; an empty text takes the attribute out. */
      cookieDomains: Object.entries(file.rewrite?.cookie_domains ?? {}).map(([from, to]) => ({
        from: from.toLowerCase().replace(/^\./, ''),
        to,
      })),
    },
    sticky: file.sticky === undefined ? null : toSticky(file.sticky),
    guard: toGuard(file),
  };
}

/** Who may use a route, and how much; null is no limit. */
function toGuard({ allow, deny, basic_auth, limits }: Partial<RouteFile>) {
  const { body_size, min_body_rate, rate, concurrent = null } = limits ?? {};
  return {
    /** Empty is everybody. */
    allow: (allow ?? []).map((text) => valid(parseNetwork(text))),
    deny: (deny ?? []).map((text) => valid(parseNetwork(text))),
    basicAuth:
      basic_auth === undefined
        ? null
        : {
            realm: basic_auth.realm,
            users: Object.entries(basic_auth.users).map(([name, password]) => ({ name, password })),
          },
    rate: rate === undefined ? null : toRate(rate),
    concurrentMax: concurrent,
    /** Bytes a second. */
    bodyRateMin: min_body_rate === undefined ? 0 : valid(parseSize(String(min_body_rate))),
    bodyMax: body_size === undefined ? null : valid(parseSize(String(body_size))),
  };
}

function toRate({ requests, per, burst = requests, key }: RateFile) {
  return {
    requests,
    perMs: valid(parseDuration(per)),
    burst,
    /** Whose requests are counted together. */
    key:
      key === 'source' || key === 'route'
        ? (key as 'source' | 'route')
        : { header: key.slice('header:'.length).toLowerCase() },
  };
}

function toSticky({ cookie, max_age }: NonNullable<RouteFile['sticky']>) {
  const maxAge = max_age === undefined ? null : Math.floor(valid(parseDuration(max_age)) / 1000);
  return { cookie, /** Seconds; null: while the browser runs. */ maxAge };
}

/** Where plain HTTP is sent to; null: it is served. */
function toHttpsRedirect(file: HttpFile['https_redirect']) {
  if (file === false) return null;
  const { port, status } = file === true ? { port: 443, status: 308 as const } : file;
  return { port, status };
}

function toHsts({ max_age, include_subdomains, preload }: NonNullable<HttpFile['hsts']>): string {
  const seconds = Math.floor(valid(parseDuration(max_age)) / 1000);
  const parts = [`max-age=${seconds}`];
  if (include_subdomains) parts.push('includeSubDomains');
  if (preload) parts.push('preload');
  return parts.join('; ');
}

/** A route of which nothing was said but where it goes. */
const plainRoute = {
  match: toMatch({}),
  requestHeaders: toEdits(undefined),
  responseHeaders: toEdits(undefined),
  prefix: null,
  host: 'preserve' as const,
  retries: 1,
  timeouts: toRouteTimeouts({}),
  rewrite: { location: false, cookieDomains: [] },
  sticky: null,
  guard: toGuard({}),
};

/** Empty lists and null: whatever the request is. */
function toMatch(file: MatchFile) {
  return {
    hosts: list(file.host).map((text) => valid(parseHostPattern(text))),
    paths: list(file.path).map((one) =>
      typeof one === 'string'
        ? valid(parsePathPattern(one))
        : { kind: 'regex' as const, text: one.regex },
    ),
    methods: file.methods ?? [],
    headers: toFields(file.headers, (name) => name.toLowerCase()),
    query: toFields(file.query),
    cookies: toFields(file.cookies),
    source: (file.source ?? []).map((text) => valid(parseNetwork(text))),
    serverNames: list(file.sni).map((text) => valid(parseServerName(text))),
    tlsSubject: file.tls_subject === undefined ? null : toValue(file.tls_subject),
  };
}

function toFields(file: Record<string, ValueFile> | undefined, spell = (name: string) => name) {
  return Object.entries(file ?? {}).map(([name, value]) => ({
    name: spell(name),
    value: toValue(value),
  }));
}

/** What a value must be: there, not there, this text, or what the expression finds. */
function toValue(file: ValueFile) {
  if (typeof file === 'boolean') return { kind: file ? ('any' as const) : ('none' as const) };
  if (typeof file === 'string') return { kind: 'exact' as const, text: file };
  return { kind: 'regex' as const, text: file.regex };
}

function toAction({ upstream, split, redirect, respond, forward, files }: RouteFile) {
  if (files !== undefined) return toFileServing(files);
  if (forward !== undefined) return toOutbound(forward);
  if (upstream !== undefined) return forwardTo([{ upstream, weight: 1 }]);
  if (split !== undefined) return forwardTo(split);
  if (redirect !== undefined) {
    const { to, status } =
      typeof redirect === 'string' ? { to: redirect, status: 302 as const } : redirect;
    return { kind: 'redirect' as const, to: valid(parseTemplate(to)), status };
  }
  const { status, body, headers } = respond!;
  return { kind: 'respond' as const, status, body, headers: toTemplates(headers) };
}

function forwardTo(targets: { upstream: string; weight: number }[]) {
  return { kind: 'forward' as const, targets };
}

function toEdits({ set, add, remove = [] }: EditsFile = {}) {
  return {
    set: toTemplates(set),
    add: toTemplates(add),
    /** Lower case; those that end in a star are beginnings. */
    remove: remove.map((text) => valid(parseRemovableField(text))),
  };
}

function toTemplates(file: Record<string, string> = {}) {
  return Object.entries(file).map(([name, text]) => ({ name, value: valid(parseTemplate(text)) }));
}

/** Without the slash at the end, so that "/" is nothing at all. */
function toPrefix({ strip_prefix: strip, replace_prefix: replace }: RouteFile) {
  if (strip === undefined && replace === undefined) return null;
  const from = replace?.from ?? strip!;
  const to = replace?.to ?? '/';
  const withoutSlash = (path: string) => valid(parsePath(path)).replace(/\/$/, '');
  return { from: withoutSlash(from), to: withoutSlash(to) };
}

function toHost(text: string): 'preserve' | 'upstream' | Template {
  return text === 'preserve' || text === 'upstream' ? text : valid(parseTemplate(text));
}

function list<Item>(file: Item | Item[] | undefined): Item[] {
  if (file === undefined) return [];
  return Array.isArray(file) ? file : [file];
}
