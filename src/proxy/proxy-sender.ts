import {
  localAddress,
  NativeMemory,
  Outcome,
  peerAddress,
  type Transport,
} from '../splice/index.js';
import type { CloseReason } from './counters.js';
import type { FlowHead } from './flow/index.js';
import { proxiedTls } from './proxied-tls.js';
import type { WorkerRoom } from './room.js';
import {
  encodeProxySsl,
  findTlv,
  PROXY_HEADER_BYTES_MAX,
  type ProxyEndpoints,
  type ProxySsl,
  type ProxyTlv,
  ProxyTlvType,
  V2_FIXED_BYTES,
  writeProxyV1,
  writeProxyV2,
} from './tcp/index.js';
import type { TlsSide } from './tls-side.js';
import type { Attempts } from './upstream/index.js';

/** What a v2 header may say besides addresses, in the order it is written. */
export type ProxyTlvName = 'authority' | 'alpn' | 'ssl' | 'unique_id';

/** The PROXY header an upstream wants, as the configuration says it. */
export interface ProxySenderSnapshot {
  readonly version: 'v1' | 'v2';
  /** Of v2. */
  readonly tlvs: readonly ProxyTlvName[];
  /** Of v2: the header ends with a checksum of itself. */
  readonly crc32c: boolean;
}

/** A client, as an endpoint is told of it. What is not known is not told. */
export interface ProxiedClient {
  /** Nothing for one without an address: the header speaks for this proxy. */
  readonly endpoints: ProxyEndpoints | undefined;
  /** The name it asked for. */
  readonly authority?: string | undefined;
  /** The application protocol that was agreed on. */
  readonly alpn?: string | undefined;
  /** The TLS it speaks, where that ends here. */
  readonly ssl?: ProxySsl | undefined;
  /** A name for its connection that no other has. */
  readonly uniqueId?: string | undefined;
  /** What the proxy in front said of it; it was nearer, and wins. */
  readonly received: readonly ProxyTlv[];
}

/** Whom a PROXY header speaks of. */
export interface ProxiedParty {
  readonly room: WorkerRoom;
  readonly sequence: number;
  /** What the client's stream began with. */
  readonly head: FlowHead | undefined;
  /** Where TLS ends here. */
  readonly tls?: TlsSide | undefined;
  readonly client: { readonly transport: Transport };
  /** What the connection is called all the way, once somebody wants to know. */
  uniqueId?: string | undefined;
}

/** A session that has got a new connection to an endpoint. */
export interface ProxiedSession extends ProxiedParty {
  readonly attempts: Attempts | undefined;
  readonly upstream: { readonly transport: Transport } | undefined;
}

/** Two unix addresses are the longest that v2 has. */
const ADDRESS_BYTES_MAX = 216;
/** All a header in front may have said is passed on at most once, and there is room for what is ours. */
const TLV_BYTES_MAX = PROXY_HEADER_BYTES_MAX + 4096;

/** Free again after each call. */
const header = new NativeMemory(V2_FIXED_BYTES + ADDRESS_BYTES_MAX + TLV_BYTES_MAX);

/**
 * Tells a new endpoint of a flow where the client is, before any other byte, if the upstream wants that.
 * No pump has seen these bytes, so nobody counts them.
 *
 * @returns why the flow cannot go on, or `undefined`
 */
export function sendProxyHeader(flow: ProxiedSession): CloseReason | undefined {
  const sender = flow.attempts!.upstream.sendProxyProtocol;
  if (sender === undefined) return undefined;
  const client = proxiedClient(flow, sender);
  return client === null ? 'client_reset' : introduce(flow.upstream!.transport, sender, client);
}

/** @returns what an endpoint is to be told of the client; null for one that has reset the connection */
export function proxiedClient(
  flow: ProxiedParty,
  sender: ProxySenderSnapshot,
): ProxiedClient | null {
  const endpoints = endpointsOf(flow);
  if (endpoints === GONE) return null;
  const { head } = flow;
  const received = head?.proxyTlvs ?? NOTHING;
  if (sender.tlvs.includes('unique_id')) flow.uniqueId = uniqueIdOf(flow, received);
  const { uniqueId } = flow;
  const session = flow.tls?.session;
  return {
    endpoints,
    authority: session?.serverName ?? head?.serverName,
    alpn: session?.alpn,
    ssl: session && proxiedTls(session),
    uniqueId,
    received,
  };
}

/**
 * Sends the header, on a connection that is new.
 *
 * @returns why the connection cannot be used, or `undefined`
 */
export function introduce(
  endpoint: Transport,
  sender: ProxySenderSnapshot,
  client: ProxiedClient,
): CloseReason | undefined {
  const { bytes, address } = header;
  const length =
    sender.version === 'v1'
      ? writeProxyV1(bytes, client.endpoints)
      : writeProxyV2(bytes, client.endpoints, {
          tlvs: tlvsOf(sender.tlvs, client),
          crc32c: sender.crc32c,
        });
  const written = endpoint.write(address, length);
  if (written === length) return undefined;
  // An empty send queue takes a header whole, or the connection is dead already. A part of one cannot
  // be taken back, nor followed by anything but the rest.
  return written === Outcome.Failed ? 'upstream_reset' : 'error';
}

const NOTHING: readonly ProxyTlv[] = [];

const types: Readonly<Record<ProxyTlvName, number>> = {
  authority: ProxyTlvType.AUTHORITY,
  alpn: ProxyTlvType.ALPN,
  ssl: ProxyTlvType.SSL,
  unique_id: ProxyTlvType.UNIQUE_ID,
};

function tlvsOf(names: readonly ProxyTlvName[], client: ProxiedClient): readonly ProxyTlv[] {
  if (names.length === 0) return NOTHING;
  return names.flatMap((name) => {
    const value = findTlv(client.received, types[name]) ?? ownValue(name, client);
    return value === undefined ? [] : [{ type: types[name], value }];
  });
}

function ownValue(name: ProxyTlvName, client: ProxiedClient): Buffer | undefined {
  if (name === 'ssl') return client.ssl && encodeProxySsl(client.ssl);
  const text = name === 'unique_id' ? client.uniqueId : client[name];
  return text === undefined ? undefined : Buffer.from(text, 'latin1');
}

/** What the connection is called all the way: by whoever named it first. */
function uniqueIdOf({ room, sequence }: ProxiedParty, received: readonly ProxyTlv[]): string {
  const named = findTlv(received, ProxyTlvType.UNIQUE_ID);
  return named?.toString('latin1') ?? `${room.uniqueName}-${sequence}`;
}

const GONE = null;

/**
 * Where the client met the first proxy.
 * @returns `undefined` for a client without an address, of a unix socket; GONE for one that has none any
 *   more (ENOTCONN): it has reset the connection
 */
function endpointsOf({
  room,
  client,
  head,
}: ProxiedParty): ProxyEndpoints | undefined | typeof GONE {
  if (head?.endpoints !== undefined) return head.endpoints;
  const source = peerAddress(room.kernel, client.transport.fd);
  if (source === undefined) return GONE;
  if (source.family === 'unix') return undefined;
  return { source, destination: localAddress(room.kernel, client.transport.fd) };
}
