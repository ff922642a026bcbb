import type { ConnectOptions, SocketAddress } from '../splice/index.js';
import type { ClientTlsSettings, ServerTlsSettings } from '../tls/index.js';
import type { AdmissionSnapshot } from './admission.js';
import type { CaptureSnapshot } from './capture/index.js';
import type { HttpSnapshot } from './http/index.js';
import type { MirrorSnapshot } from './mirror/index.js';
import type { Network } from './network-set.js';
import type { ProxySenderSnapshot } from './proxy-sender.js';
import type { ServerNameRule } from './tcp/index.js';
import type { Balance } from './upstream/index.js';

/**
 * What a worker is told: the configuration as the data plane needs it, plain data that crosses the
 * thread boundary by structured clone. Descriptors are numbers of this process, valid in every
 * thread of it.
 */
export interface WorkerSnapshot {
  /** Position among the workers, from 0. */
  readonly worker: number;
  /** Core to run on, or −1 to leave that to the kernel. */
  readonly core: number;
  /** Calls of many connections are made together, where the kernel has a way. */
  readonly ioUring: boolean;
  readonly listeners: readonly ListenerSnapshot[];
  readonly upstreams: readonly UpstreamSnapshot[];
  /** What threads share about endpoints; see upstream/endpoint-table.ts. */
  readonly endpointTable: SharedArrayBuffer;
  readonly timeouts: TimeoutsSnapshot;
  readonly limits: LimitsSnapshot;
  readonly log: LogSnapshot;
}

export interface LogSnapshot {
  readonly level: string;
  /** There is a line for each connection or request that is over. */
  readonly access: boolean;
  /** These lines have a file of their own, and look like that; absent: they go into the log. */
  readonly accessFile?: 'json' | 'combined' | undefined;
  /** Somebody may ask what requests are under way. */
  readonly notesRequests?: boolean;
}

/** One listening socket of one worker; a listener with two addresses has two of these. */
export interface ListenerSnapshot {
  readonly name: string;
  /** Position of the listener's counters. */
  readonly index: number;
  /** A listening socket that belongs to this worker from now on. */
  readonly fd: number;
  /** For log lines: the address as bound. */
  readonly address: string;
  readonly family: SocketAddress['family'];
  /** Position in {@link WorkerSnapshot.upstreams}; with routes, the first one's; −1 with `http`. */
  readonly upstream: number;
  /** Where streams go by their ClientHello; absent: all go to `upstream`, unseen. */
  readonly routes?: readonly RouteSnapshot[];
  /** Who gets a copy of what clients send; absent: nobody. With `http` its routes have their own. */
  readonly mirror?: MirrorSnapshot;
  /** What is done with requests; absent: bytes are passed on. */
  readonly http?: HttpSnapshot;
  /** How TLS is terminated; absent: streams are forwarded as they come. */
  readonly tls?: ServerTlsSettings | undefined;
  /** Networks whose connections begin with a PROXY header. */
  readonly acceptProxyFrom?: readonly Network[];
  /** Absent where everybody may connect, in any number. */
  readonly admission?: AdmissionSnapshot | undefined;
  /** Other workers wait at the same socket, as at a unix one: one of them is woken, not all. */
  readonly isShared?: boolean;
  /** What is captured of its flows; absent: nothing. */
  readonly capture?: CaptureSnapshot | undefined;
  /** Congestion control of clients at loopback addresses, where the socket cannot know whom it accepts; absent: its own. */
  readonly localCongestionControl?: string | undefined;
  /** Endpoints see the client's address (IP_TRANSPARENT). */
  readonly transparent?: boolean;
}

export interface RouteSnapshot extends ServerNameRule {
  /** Position in {@link WorkerSnapshot.upstreams}. */
  readonly upstream: number;
}

export interface UpstreamSnapshot {
  readonly name: string;
  /** The upstream's own slot in the endpoint table. */
  readonly slot: number;
  readonly balance: Balance;
  readonly endpoints: readonly EndpointSnapshot[];
  readonly limits: {
    /** Connections of all workers to one endpoint; Infinity for no limit. */
    readonly connectionsPerEndpoint: number;
  };
  /** Ejection of endpoints that cannot be connected to; nothing for never. */
  readonly passive: PassiveSnapshot | undefined;
  /**
   * Health is ignored while a smaller part of the primaries than this is healthy, from 0 (never) to
   * 1 (whenever one is not).
   */
  readonly panicThreshold: number;
  /** How long a flow may wait for a place at an endpoint. */
  readonly queueTimeoutMs: number;
  /** Connections to one endpoint that each worker keeps while no request needs them, and how long. */
  readonly idleMax: number;
  readonly idleTimeoutMs: number;
  /** Flows of all workers that may wait; 0 for none. */
  readonly queueMax: number;
  /** How TLS is spoken to endpoints; absent: it is not. */
  readonly tls?: ClientTlsSettings | undefined;
  /** Connections begin with such a PROXY header; absent: they do not. */
  readonly sendProxyProtocol?: ProxySenderSnapshot;
}

export interface EndpointSnapshot {
  readonly address: SocketAddress;
  /** The name that led to the address, if one did: whom TLS expects, unless it is told. */
  readonly host?: string | undefined;
  /** Relative to the others, ≥ 0; an endpoint of weight 0 gets no flows. */
  readonly weight: number;
  /** Stands by until no other is in use. */
  readonly backup: boolean;
  /** Its slot in the endpoint table. */
  readonly slot: number;
  /** Options of connections to it; absent where the kernel's defaults will do. */
  readonly socket?: ConnectOptions | undefined;
}

export interface PassiveSnapshot {
  /** Connections and answers that failed in a row, over all workers, before an endpoint is ejected. */
  readonly failures: number;
  /** How long the first time, to within 100 ms; each further time twice as long, at most ten times. */
  readonly ejectForMs: number;
  /** The part of the upstream's endpoints that may be ejected at one time, from 0 to 1. */
  readonly ejectedMax: number;
  /** Statuses of HTTP responses that count as failures; absent: none does. */
  readonly statuses?: readonly { readonly from: number; readonly to: number }[] | undefined;
}

/** An upstream of which nothing was said but its endpoints. */
export const upstreamDefaults = {
  balance: 'round_robin',
  limits: { connectionsPerEndpoint: Number.POSITIVE_INFINITY },
  idleMax: 256,
  idleTimeoutMs: 60_000,
  passive: { failures: 5, ejectForMs: 10_000, ejectedMax: 0.5 },
  panicThreshold: 0,
  queueTimeoutMs: 5000,
  queueMax: 1024,
} as const satisfies Partial<UpstreamSnapshot>;

/** All in milliseconds. */
export interface TimeoutsSnapshot {
  readonly connectMs: number;
  /** For what a listener needs to see before it connects on. */
  readonly headMs: number;
  /** How long an HTTP connection may wait for another request. */
  readonly keepAliveMs: number;
  readonly idleMs: number;
  /** From a request's first byte to the last one of its response; 0: as long as it takes. */
  readonly requestMs: number;
  /** From a request's last byte to the first of its response, at the endpoint; likewise. */
  readonly responseMs: number;
  /** As `idleMs`, where a protocol was switched. */
  readonly tunnelMs: number;
  /** For a TLS handshake, on either side. */
  readonly tlsHandshakeMs: number;
}

export interface LimitsSnapshot {
  /** Flows of all workers together. */
  readonly connectionsMax: number;
  /** The first descriptor of the process that HTTP's clients leave to upstreams. */
  readonly clientDescriptorsEnd: number;
  /** Capacity of this worker's pipes, bytes. */
  readonly pipeMemoryBytes: number;
  /** Capacity to ask for each pipe, bytes. */
  readonly pipeBytes: number;
  /** Bytes of an HTTP message's head, and its fields. */
  readonly headBytes: number;
  readonly headers: number;
  /** Files that this worker keeps open while nobody asks for them. */
  readonly cachedFiles: number;
}
