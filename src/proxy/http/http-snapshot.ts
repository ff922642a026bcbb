import type { FilesSnapshot } from '../files/index.js';
import type { MirrorSnapshot } from '../mirror/index.js';
import type { Network } from '../network-set.js';
import type { GuardSnapshot } from './guarding/index.js';
import type { ErrorText } from './message/index.js';

/**
 * What a listener does with requests, as a worker is told it: plain data that crosses the thread
 * boundary by structured clone, compiled there once.
 */
export interface HttpSnapshot {
  /** In the order of the configuration: the first one that fits is taken. */
  readonly routes: readonly HttpRouteSnapshot[];
  /** Whose forwarding fields are believed. */
  readonly trustedProxies: readonly Network[];
  /** Whether upstreams get `X-Forwarded-For`, `-Proto` and `-Host`. */
  readonly xForwarded: boolean;
  /** Whether upstreams get `Forwarded` (RFC 7239). */
  readonly forwarded: boolean;
  readonly requestId: RequestIdPolicy;
  /** What the proxy calls itself in `Via`; null: no such field. */
  readonly via: string | null;
  /** Where requests by plain HTTP are sent to; null: they are served. */
  readonly httpsRedirect: { readonly port: number; readonly status: number } | null;
  /** Value of Strict-Transport-Security for requests by HTTPS; null: no such field. */
  readonly hsts: string | null;
  /** Whether responses without a Date get one; absent: they stay without. */
  readonly date?: boolean;
  /** What is said instead of our own words; the first with the status counts. Absent: nothing is. */
  readonly errorPages?: readonly ErrorPageSnapshot[];
  /** What is counted of requests that no route takes; absent: nothing. */
  readonly noRouteCounters?: SharedArrayBuffer;
}

export interface ErrorPageSnapshot extends ErrorText {
  readonly statuses: readonly { readonly from: number; readonly to: number }[];
}

/** Whether `X-Request-Id` of the client is kept, is always made anew, or is none of our business. */
export type RequestIdPolicy = 'keep' | 'make' | 'off';

export interface HttpRouteSnapshot {
  /** For log lines, metrics and `$route`. */
  readonly name: string;
  readonly match: MatchSnapshot;
  readonly action: ActionSnapshot;
  readonly requestHeaders: HeaderEditsSnapshot;
  readonly responseHeaders: HeaderEditsSnapshot;
  /** The beginning of the path that is replaced; neither ends in a slash, so "" is the root. */
  readonly prefix: { readonly from: string; readonly to: string } | null;
  /** The Host that the upstream is told. */
  readonly host: 'preserve' | 'upstream' | Template;
  /** Further attempts at other endpoints. */
  readonly retries: number;
  /** Null or absent: those of the worker. */
  readonly timeouts?: RouteTimeouts | null;
  readonly rewrite: RewriteSnapshot;
  /** The cookie that keeps a client at its endpoint, made where there is none; null or absent: none is. */
  readonly sticky?: StickySnapshot | null;
  readonly guard: GuardSnapshot;
  /** Who gets a copy of its requests; absent: nobody. */
  readonly mirror?: HttpMirrorSnapshot;
  /** Memory of a {@link RouteCounters}; absent: nothing is counted. */
  readonly counters?: SharedArrayBuffer;
}

/** Instead of those of the worker, milliseconds; 0 is never for a request or a response, null what the worker says. */
export interface RouteTimeouts {
  readonly connectMs: number | null;
  readonly idleMs: number | null;
  readonly requestMs: number | null;
  readonly responseMs: number | null;
  readonly tunnelMs: number | null;
}

export interface HttpMirrorSnapshot extends MirrorSnapshot {
  /** Of the upstream, for `$upstream`. */
  readonly name: string;
  /** What it is called in Host where that is the upstream's. */
  readonly hostName: string;
  /** The Host that it is told; null: as the route has it. */
  readonly host: HttpRouteSnapshot['host'] | null;
}

export interface StickySnapshot {
  /** Name of the cookie. */
  readonly cookie: string;
  /** How long browsers keep it, seconds; null: as long as they run. */
  readonly maxAge: number | null;
}

/** What is changed in responses, because it only makes sense behind the proxy. */
export interface RewriteSnapshot {
  readonly location: boolean;
  /** Domains of cookies, lower case; an empty `to` takes the attribute out. */
  readonly cookieDomains: readonly { readonly from: string; readonly to: string }[];
}

/** What a request must be; an empty list and null ask for nothing. */
export interface MatchSnapshot {
  /** Names in lower case, `*.example.com`, addresses (IPv6 in brackets), or `*`. */
  readonly hosts: readonly string[];
  readonly paths: readonly PathPatternSnapshot[];
  readonly methods: readonly string[];
  /** Names in lower case. */
  readonly headers: readonly FieldMatchSnapshot[];
  readonly query: readonly FieldMatchSnapshot[];
  readonly cookies: readonly FieldMatchSnapshot[];
  readonly source: readonly Network[];
  readonly serverNames: readonly string[];
  readonly tlsSubject: ValueMatchSnapshot | null;
}

export interface PathPatternSnapshot {
  /**
   * `prefix`: the path begins with it; `glob`: `*` is anything but a slash, `**` anything; `regex`: RE2
   * syntax, found anywhere.
   */
  readonly kind: 'exact' | 'prefix' | 'glob' | 'regex';
  /** Spelled as paths are compared: see {@link CanonicalPath}. */
  readonly text: string;
}

export interface FieldMatchSnapshot {
  readonly name: string;
  readonly value: ValueMatchSnapshot;
}

export type ValueMatchSnapshot =
  | { readonly kind: 'any' | 'none' }
  | { readonly kind: 'exact' | 'regex'; readonly text: string };

export type ActionSnapshot =
  | FilesSnapshot
  | ForwardSnapshot
  | OutboundSnapshot
  | RedirectSnapshot
  | RespondSnapshot;

export interface ForwardSnapshot {
  readonly kind: 'forward';
  /** At least one has a weight above 0. */
  readonly targets: readonly TargetSnapshot[];
}

export interface TargetSnapshot {
  /** Position among the worker's upstreams. */
  readonly upstream: number;
  /** For `$upstream`. */
  readonly name: string;
  /** What it is called in Host where that is the upstream's. */
  readonly host: string;
  /** Its share of the requests, relative to the others. */
  readonly weight: number;
}

/** Requests go where they say, if that is among these. */
export interface OutboundSnapshot {
  readonly kind: 'outbound';
  readonly names: readonly {
    /** Lower case, without a dot at the end. */
    readonly host: string;
    readonly port: number;
    /** Position among the worker's upstreams. */
    readonly upstream: number;
  }[];
  /** Port 0 is any. */
  readonly networks: readonly { readonly network: Network; readonly port: number }[];
  /** Names that end so, with at least a letter before it, are looked up when they are asked for; port 0 is any. */
  readonly wildcards?: readonly { readonly suffix: string; readonly port: number }[];
  /** Where those may lead; null or absent: to the public Internet. */
  readonly resolvesTo?: readonly Network[] | null;
}

export interface RedirectSnapshot {
  readonly kind: 'redirect';
  readonly to: Template;
  readonly status: number;
}

export interface RespondSnapshot {
  readonly kind: 'respond';
  readonly status: number;
  readonly body: string;
  readonly headers: readonly FieldSnapshot[];
}

/** `remove` comes first, then `set` and `add`. */
export interface HeaderEditsSnapshot {
  readonly set: readonly FieldSnapshot[];
  readonly add: readonly FieldSnapshot[];
  /** Lower case; those that end in a star are beginnings of names. */
  readonly remove: readonly string[];
}

export interface FieldSnapshot {
  /** As it is written. */
  readonly name: string;
  readonly value: Template;
}

/** A text with holes, in order; adjacent literals are one. */
export type Template = readonly (string | { readonly variable: TemplateVariable })[];

export type TemplateVariable =
  | 'client_ip'
  | 'client_port'
  | 'host'
  | 'listener'
  | 'method'
  | 'path'
  | 'peer_ip'
  | 'query'
  | 'request_id'
  | 'route'
  | 'scheme'
  | 'sni'
  | 'tls_subject'
  | 'tls_version'
  | 'upstream'
  | 'uri';
