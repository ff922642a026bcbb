import { type Address, parseEndpointAddress, parseListenAddress } from './address.js';
import { parseHostAddress, parseNetwork } from './network.js';
import type { Parsed } from './parsed.js';
import { parseDuration, parseSize } from './quantity.js';
import type { ConfigFile } from './schema.js';
import { parseServerName } from './server-name.js';

/**
 * The configuration as the program uses it: complete, numbers in one unit, addresses parsed. Nothing but
 * plain data, because workers get it by structured clone.
 */
export type Config = ReturnType<typeof toConfig>;
export type ListenerConfig = Config['listeners'][number];
export type UpstreamConfig = Config['upstreams'][number];
export type TcpRouteConfig = ListenerConfig['tcp']['routes'][number];
export type AdminConfig = NonNullable<Config['admin']>;

/** Turns a file that was found valid, defaults filled in, into the configuration. */
export function toConfig(file: ConfigFile) {
  const { timeouts, limits } = file;
  return {
    workers: file.workers,
    pinWorkers: file.pin_workers,
    /** Names or numbers; null: stay who you are. */
    user: file.user ?? null,
    group: file.group ?? null,
    noNewPrivs: file.no_new_privs,
    log: file.log,
    admin: file.admin === undefined ? null : toAdmin(file.admin),
    timeouts: {
      connectMs: valid(parseDuration(timeouts.connect)),
      headMs: valid(parseDuration(timeouts.head)),
      idleMs: valid(parseDuration(timeouts.idle)),
      drainMs: valid(parseDuration(timeouts.drain)),
    },
    limits: {
      connectionsMax: limits.connections,
      pipeMemoryBytes: valid(parseSize(String(limits.pipe_memory))),
    },
    listeners: Object.entries(file.listeners).map(([name, listener]) => ({
      name,
      bind: [listener.bind].flat().map((text) => valid(parseListenAddress(text))),
      backlog: listener.backlog,
      ...toAdmission(listener),
      socket: toListenerSocket(listener.socket),
      /** Networks whose connections begin with a PROXY header; empty for none. */
      acceptProxyFrom: (listener.accept_proxy_protocol?.from ?? []).map((text) =>
        valid(parseNetwork(text)),
      ),
      tcp: { routes: toRoutes(listener.tcp) },
    })),
    upstreams: Object.entries(file.upstreams).map(([name, upstream]) => ({
      name,
      /** Used round robin. Empty for the demo origin, whose address is known once it listens. */
      endpoints: (upstream.endpoints ?? []).map(
        (text): Address => valid(parseEndpointAddress(text)),
      ),
      demo: (upstream.demo ?? false) as boolean,
      socket: toUpstreamSocket(upstream.socket),
      /** Version of the PROXY header that connections begin with; null for none. */
      sendProxyProtocol: upstream.send_proxy_protocol ?? null,
    })),
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

function toListenerSocket(socket: ConfigFile['listeners'][string]['socket']) {
  const { nodelay, transparent, mode, owner, group } = socket;
  return {
    nodelay,
    ...toStream(socket),
    /** 0: off. */
    fastOpen: socket.fast_open ?? 0,
    deferAcceptSeconds: toSeconds(socket.defer_accept ?? '0s'),
    transparent,
    /** Permission bits of a socket file; null: as the umask has it. */
    mode: mode === undefined ? null : Number.parseInt(mode, 8),
    /** Names or numbers. */
    owner: owner ?? null,
    group: group ?? null,
  };
}

function toUpstreamSocket(socket: ConfigFile['upstreams'][string]['socket']) {
  const source = socket.source === undefined ? null : valid(parseHostAddress(socket.source));
  return { ...toStream(socket), source, fastOpen: socket.fast_open };
}

type StreamKeys = Pick<ConfigFile['upstreams'][string]['socket'], 'keepalive' | 'user_timeout'>;

function toStream({ keepalive, user_timeout }: StreamKeys) {
  return {
    keepalive:
      keepalive === 'off'
        ? null
        : {
            idleSeconds: toSeconds(keepalive.idle),
            intervalSeconds: toSeconds(keepalive.interval),
            count: keepalive.count,
          },
    userTimeoutMs: user_timeout === undefined ? null : valid(parseDuration(user_timeout)),
  };
}

/** Rounded up: the kernel's options have whole seconds. */
function toSeconds(duration: string): number {
  return Math.ceil(valid(parseDuration(duration)) / 1000);
}

/** One upstream for everything is a default route, and nothing else. */
function toRoutes({ upstream, routes }: ConfigFile['listeners'][string]['tcp']) {
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

function valid<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(`a value passed validation and is not valid: ${parsed.reason}`);
  return parsed.value;
}
