import { formatAddress, type SocketAddress } from '../../splice/index.js';
import {
  type HttpRouteSnapshot,
  type HttpSnapshot,
  RouteCounters,
  routeDefaults,
} from '../http/index.js';
import { upstreamDefaults, type WorkerSnapshot } from '../snapshot.js';
import { EndpointSlots, EndpointTable } from '../upstream/index.js';

const UPSTREAM = 'warm-up';
/** Whatever clients may do later. */
const CONNECTIONS_MAX = 64;
const HEADERS_MAX = 100;

const everyRequest: HttpRouteSnapshot = {
  ...routeDefaults,
  name: UPSTREAM,
  action: {
    kind: 'forward',
    targets: [{ upstream: 0, name: UPSTREAM, host: UPSTREAM, weight: 1 }],
  },
};

/** A socket to listen at, and what for. */
export interface WarmUpListener {
  readonly fd: number;
  readonly address: SocketAddress;
  /** Of a listener that clients will find later; absent: bytes are passed on. */
  readonly http?: HttpSnapshot | undefined;
}

/** All that is done for every request stays as it is. */
function warmUpHttp(http: HttpSnapshot): HttpSnapshot {
  const counted = () => RouteCounters.createMemory(1);
  return {
    ...http,
    routes: [{ ...everyRequest, counters: counted() }],
    httpsRedirect: null,
    noRouteCounters: counted(),
  };
}

/** The worker that is to follow, but for where clients come from and where they go. */
export function warmUpSnapshot(
  snapshot: WorkerSnapshot,
  { fd, address, http }: WarmUpListener,
  origin: SocketAddress,
): WorkerSnapshot {
  const endpointTable = EndpointTable.createMemory(1);
  const endpoints = [{ address: formatAddress(origin), weight: 1 }];
  const slots = new EndpointSlots(new EndpointTable(endpointTable));
  const [assigned] = slots.assign([{ upstream: UPSTREAM, endpoints }]);
  // As connections to endpoints are made later: code that has seen none with options is thrown away at the first.
  const first = snapshot.upstreams.find((upstream) => upstream.endpoints.length > 0);
  const congestionControl = first?.endpoints[0]?.socket?.congestionControl;
  return {
    ...snapshot,
    worker: 0,
    core: -1,
    listeners: [
      {
        name: UPSTREAM,
        index: 0,
        fd,
        address: formatAddress(address),
        family: address.family,
        upstream: http === undefined ? 0 : -1,
        ...(http && { http: warmUpHttp(http) }),
      },
    ],
    upstreams: [
      {
        ...upstreamDefaults,
        name: UPSTREAM,
        slot: assigned!.slot,
        endpoints: [
          {
            address: origin,
            weight: 1,
            backup: false,
            slot: assigned!.endpoints[0]!,
            ...(congestionControl && { socket: { congestionControl } }),
          },
        ],
      },
    ],
    endpointTable,
    limits: {
      ...snapshot.limits,
      connectionsMax: CONNECTIONS_MAX,
      clientDescriptorsEnd: Number.POSITIVE_INFINITY,
      headers: Math.max(snapshot.limits.headers, HEADERS_MAX),
    },
  };
}
