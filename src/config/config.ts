import { toCapture } from './capture-config.js';
import { toHttp } from './http-config.js';
import { toRequestTimeouts } from './http-timeouts.js';
import { toMirror } from './mirror-config.js';
import { toOutboundUpstreams } from './outbound-config.js';
import type { ConfigFile } from './schema/index.js';
import { toListenerSocket } from './socket-config.js';
import { toListenerTls } from './tls/index.js';
import { toUpstream } from './upstream-config.js';
import {
  type Files,
  parseBindAddress,
  parseDuration,
  parseListenAddress,
  parseNetwork,
  parseServerName,
  parseSize,
  valid,
} from './values/index.js';

/**
 * The configuration as the program uses it: complete, numbers in one unit, addresses parsed. Nothing but
 * plain data, because workers get it by structured clone.
 */
export type Config = ReturnType<typeof toConfig>;
export type ListenerConfig = Config['listeners'][number];
export type UpstreamConfig = Config['upstreams'][number];
export type TcpRouteConfig = NonNullable<ListenerConfig['tcp']>['routes'][number];
export type HttpConfig = NonNullable<ListenerConfig['http']>;
export type HttpRouteConfig = HttpConfig['routes'][number];
export type AdminConfig = NonNullable<Config['admin']>;

/**
 * Turns a file that was found valid, defaults filled in, into the configuration.
 *
 * @param files as they were when it was found valid
 */
export function toConfig(file: ConfigFile, files: Files) {
  const { timeouts, limits } = file;
  return {
    workers: file.workers,
    pinWorkers: file.pin_workers,
    ioUring: file.io_uring,
    /** Names or numbers; null: stay who you are. */
    user: file.user ?? null,
    group: file.group ?? null,
    noNewPrivs: file.no_new_privs,
    log: toLog(file.log),
    admin: file.admin === undefined ? null : toAdmin(file.admin),
    timeouts: {
      connectMs: valid(parseDuration(timeouts.connect)),
      headMs: valid(parseDuration(timeouts.head)),
      idleMs: valid(parseDuration(timeouts.idle)),
      ...toRequestTimeouts(timeouts),
      keepAliveMs: valid(parseDuration(timeouts.keep_alive)),
      tlsHandshakeMs: valid(parseDuration(timeouts.tls_handshake)),
      drainMs: valid(parseDuration(timeouts.drain)),
    },
    limits: {
      connectionsMax: limits.connections,
      pipeMemoryBytes: valid(parseSize(String(limits.pipe_memory))),
      headBytes: valid(parseSize(String(limits.head_bytes))),
      headers: limits.headers,
      cachedFiles: limits.cached_files,
    },
    listeners: Object.entries(file.listeners).map(([name, listener]) => ({
      name,
      bind: [listener.bind].flat().map((text) => valid(parseBindAddress(text))),
      backlog: listener.backlog,
      ...toAdmission(listener),
      socket: toListenerSocket(listener.socket),
      /** Networks whose connections begin with a PROXY header; empty for none. */
      acceptProxyFrom: (listener.accept_proxy_protocol?.from ?? []).map((text) =>
        valid(parseNetwork(text)),
      ),
      /** Exactly one of the two is not null. */
      tcp:
        listener.tcp === undefined
          ? null
          : { routes: toRoutes(listener.tcp), mirror: toMirror(listener.tcp.mirror) },
      http: listener.http === undefined ? null : toHttp(listener.http),
      capture: toCapture((listener.tcp ?? listener.http)?.capture),
      /** null: streams are forwarded as they come. */
      tls: listener.tls === undefined ? null : toListenerTls(listener.tls, files),
    })),
    upstreams: [
      ...Object.entries(file.upstreams).map(([name, one]) => toUpstream(name, one, files)),
      ...toOutboundUpstreams(file, files),
    ],
  };
}

/** Who may connect, and how many at a time; null is no limit. */
function toAdmission({ allow, deny, limits }: ConfigFile['listeners'][string]) {
  return {
    /** Empty is everybody: the file cannot say an empty list. */
    allow: (allow ?? []).map((text) => valid(parseNetwork(text))),
    deny: (deny ?? []).map((text) => valid(parseNetwork(text))),
    limits: {
      connectionsMax: limits?.connections ?? null,
      connectionsPerSourceMax: limits?.connections_per_source ?? null,
    },
  };
}

function toLog({ level, format, access }: ConfigFile['log']) {
  const accessFile = typeof access === 'boolean' ? null : access;
  return {
    level,
    format,
    access: access !== false,
    /** Where access lines go, and how; null: into the log. */
    accessFile,
  };
}

/** One upstream for everything is a default route, and nothing else. */
function toRoutes({ upstream, routes }: NonNullable<ConfigFile['listeners'][string]['tcp']>) {
  return (routes ?? [{ upstream: upstream! }]).map(({ sni = [], alpn, upstream }) => ({
    /** Names and wildcards; none for the default. */
    serverNames: [sni].flat().map((text) => valid(parseServerName(text))),
    /** The client must offer one of these; null: whatever it offers. */
    alpn: alpn ?? null,
    upstream,
  }));
}

function toAdmin({ bind, token, hosts }: NonNullable<ConfigFile['admin']>) {
  return {
    bind: valid(parseListenAddress(bind)),
    /** What requests have to know; null: who reaches the address may do everything. */
    token: token ?? null,
    /** Names, each with a port or for any, that requests may use besides the address. */
    hosts,
  };
}
