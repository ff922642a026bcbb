import type { ListenerConfig } from '../../config/index.js';
import type { ListenerSnapshot } from '../../proxy/index.js';
import { httpRoutes, type UpstreamDirectory } from './http-routes.js';
import { mirrorSnapshot } from './mirrors.js';

/** What becomes of a listener's connections. */
type Routes = Pick<ListenerSnapshot, 'upstream' | 'routes' | 'http' | 'acceptProxyFrom' | 'mirror'>;

/** What a listener's snapshot says about heads and routes. */
export function listenerRoutes(
  { name, tcp, http, acceptProxyFrom }: ListenerConfig,
  upstreams: UpstreamDirectory,
): Routes {
  return {
    ...(tcp === null ? { upstream: NO_UPSTREAM } : tcpRoutes(tcp, upstreams)),
    ...(http !== null && { http: httpRoutes(name, http, upstreams) }),
    ...(acceptProxyFrom.length > 0 && { acceptProxyFrom }),
  };
}

/** Each request of an HTTP listener has its own. */
const NO_UPSTREAM = -1;

function tcpRoutes(
  tcp: NonNullable<ListenerConfig['tcp']>,
  { positions, workers }: UpstreamDirectory,
): Pick<ListenerSnapshot, 'upstream' | 'routes' | 'mirror'> {
  const routes = tcp.routes.map(({ serverNames, alpn, upstream }) => ({
    names: serverNames,
    ...(alpn !== null && { alpn }),
    upstream: positions.get(upstream)!,
  }));
  const isConditional = routes.some(({ names, alpn }) => names.length > 0 || alpn !== undefined);
  return {
    upstream: routes[0]!.upstream,
    ...(isConditional && { routes }),
    ...(tcp.mirror && { mirror: mirrorSnapshot(tcp.mirror, positions, workers) }),
  };
}
