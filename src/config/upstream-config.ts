import type { ConfigFile } from './schema/index.js';
import { toUpstreamSocket } from './socket-config.js';
import { toUpstreamTls, type UpstreamTlsConfig } from './tls/index.js';
import {
  type EndpointTarget,
  type Files,
  parseDuration,
  parseEndpointTarget,
  parsePeerName,
  parseStatusRanges,
  readCertificateFile,
  type StatusRange,
  valid,
} from './values/index.js';

type UpstreamFile = ConfigFile['upstreams'][string];
type ActiveFile = NonNullable<UpstreamFile['health']['active']>;

/** The PROXY header that an upstream's connections begin with. */
export interface ProxySenderConfig {
  readonly version: 'v1' | 'v2';
  readonly tlvs: readonly ('authority' | 'alpn' | 'ssl' | 'unique_id')[];
  readonly crc32c: boolean;
}

/** One item of an upstream's endpoints. */
export interface EndpointConfig {
  readonly target: EndpointTarget;
  /** As in the file, for people. */
  readonly text: string;
  readonly weight: number;
  readonly backup: boolean;
}

/** An upstream that was found valid, as the program uses it. */
export function toUpstream(name: string, file: UpstreamFile, files: Files) {
  const { endpoints = [], demo = false, balance, health, connections } = file;
  const sendProxyProtocol = toProxySender(file.send_proxy_protocol);
  const { active, passive, panic_threshold: panicThreshold, slow_start } = health;
  const tls = file.tls === undefined ? null : toUpstreamTls(file.tls, files);
  const socket = toUpstreamSocket(file.socket);
  return {
    name,
    /** Empty for the demo origin, whose address is known once it listens. */
    endpoints: endpoints.map(toEndpoint),
    demo: demo as boolean,
    balance,
    active:
      active === undefined ? null : toActive(active, sendProxyProtocol, tls, socket.source?.host),
    /** null: endpoints are never ejected. */
    passive:
      passive === false
        ? null
        : {
            failures: passive.failures,
            ejectForMs: valid(parseDuration(passive.eject_for)),
            ejectedMax: passive.max_ejected,
            ...(passive.statuses !== undefined && {
              statuses: valid(parseStatusRanges(String(passive.statuses))),
            }),
          },
    panicThreshold,
    socket,
    /** The PROXY header that connections begin with; null for none. */
    sendProxyProtocol,
    /** null: endpoints are spoken to as they are. */
    tls,
    slowStartMs: slow_start === undefined ? 0 : valid(parseDuration(slow_start)),
    connections: {
      /** null: no limit. */
      perEndpoint: connections.per_endpoint ?? null,
      queue: connections.queue,
      queueTimeoutMs: valid(parseDuration(connections.queue_timeout)),
      idle: connections.idle,
      idleTimeoutMs: valid(parseDuration(connections.idle_timeout)),
    },
  };
}

function toEndpoint(item: NonNullable<UpstreamFile['endpoints']>[number]): EndpointConfig {
  const { address, weight, backup } =
    typeof item === 'string' ? { address: item, weight: 1, backup: false } : item;
  return { target: valid(parseEndpointTarget(address)), text: address, weight, backup };
}

function toProxySender(file: UpstreamFile['send_proxy_protocol']): ProxySenderConfig | null {
  if (file === undefined) return null;
  if (typeof file === 'object') return file as ProxySenderConfig;
  return { version: file as ProxySenderConfig['version'], tlvs: [], crc32c: false };
}

function toActive(
  file: ActiveFile,
  sender: ProxySenderConfig | null,
  upstreamTls: UpstreamTlsConfig | null,
  source: string | undefined,
) {
  const { interval, timeout, rise, fall, fast_interval, http } = file;
  const version = file.send_proxy_protocol ?? sender?.version;
  return {
    /** Version of the PROXY header that checks begin with. */
    proxyVersion:
      version === 'off' ? undefined : (version as ProxySenderConfig['version'] | undefined),
    intervalMs: valid(parseDuration(interval)),
    timeoutMs: valid(parseDuration(timeout)),
    fastIntervalMs: fast_interval === undefined ? undefined : valid(parseDuration(fast_interval)),
    rise,
    fall,
    /** The local address of checks, as of connections. */
    source,
    http: http === undefined ? undefined : toHttp(http),
    tls: toTlsCheck(file.tls, upstreamTls),
  };
}

/** A check is made as connections are, but for what it says itself; `false` is a check in the clear. */
function toTlsCheck(file: ActiveFile['tls'], upstreamTls: UpstreamTlsConfig | null) {
  if (file === false || (file === undefined && upstreamTls === null)) return undefined;
  const { verify, server_name, ca } = file ?? {};
  const { certificate } = upstreamTls ?? {};
  return {
    verify: verify ?? upstreamTls?.verify ?? true,
    serverName:
      server_name === undefined
        ? (upstreamTls?.serverName ?? undefined)
        : valid(parsePeerName(server_name)),
    ca: ca === undefined ? (upstreamTls?.ca ?? undefined) : valid(readCertificateFile(ca)),
    ...(upstreamTls !== null && {
      minVersion: upstreamTls.minVersion,
      maxVersion: upstreamTls.maxVersion,
      ciphers: upstreamTls.ciphers ?? undefined,
      ciphersuites: upstreamTls.ciphersuites ?? undefined,
      curves: upstreamTls.curves ?? undefined,
      alpn: upstreamTls.alpn,
    }),
    ...(certificate && {
      certificate: { chain: certificate.chain, privateKey: certificate.privateKey },
    }),
  };
}

function toHttp(http: NonNullable<ActiveFile['http']>) {
  const { path, host, status } =
    typeof http === 'string' ? { path: http, host: undefined, status: undefined } : http;
  const statuses: StatusRange[] | undefined =
    status === undefined ? undefined : valid(parseStatusRanges(String(status)));
  return { path, host, statuses };
}
