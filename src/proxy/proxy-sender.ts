import { localAddress, NativeMemory, Outcome, peerAddress } from '../splice/index.js';
import type { CloseReason } from './counters.js';
import type { Flow } from './flow.js';
import {
  type ProxyEndpoints,
  V1_BYTES_MAX,
  V2_FIXED_BYTES,
  writeProxyV1,
  writeProxyV2,
} from './tcp/index.js';

/** Version of a PROXY header, as the configuration says it. */
export type ProxyVersion = 'v1' | 'v2';

/** Two unix addresses are the longest that v2 has. */
const ADDRESS_BYTES_MAX = 216;

/** Free again after each call. */
const header = new NativeMemory(Math.max(V1_BYTES_MAX, V2_FIXED_BYTES + ADDRESS_BYTES_MAX));

/**
 * Tells a new endpoint where the client is, before any other byte, if the upstream wants that. No pump
 * has seen these bytes, so nobody counts them.
 *
 * @returns why the flow cannot go on, or `undefined`
 */
export function sendProxyHeader(flow: Flow): CloseReason | undefined {
  const version = flow.attempts!.upstream.sendProxyProtocol;
  if (version === undefined) return undefined;
  const endpoints = endpointsOf(flow);
  if (endpoints === GONE) return 'client_reset';
  const { bytes, address } = header;
  const length = version === 'v1' ? writeProxyV1(bytes, endpoints) : writeProxyV2(bytes, endpoints);
  const written = flow.upstream!.transport.write(address, length);
  if (written === length) return undefined;
  // An empty send queue takes a header whole, or the connection is dead already. A part of one cannot
  // be taken back, nor followed by anything but the rest.
  return written === Outcome.Failed ? 'upstream_reset' : 'error';
}

const GONE = null;

/**
 * Where the client met the first proxy.
 * @returns `undefined` for a client without an address, of a unix socket; GONE for one that has none any
 *   more (ENOTCONN): it has reset the connection
 */
function endpointsOf({ room, client, head }: Flow): ProxyEndpoints | undefined | typeof GONE {
  if (head?.endpoints !== undefined) return head.endpoints;
  const source = peerAddress(room.kernel, client.transport.fd);
  if (source === undefined) return GONE;
  if (source.family === 'unix') return undefined;
  return { source, destination: localAddress(room.kernel, client.transport.fd) };
}
