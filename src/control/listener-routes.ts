import type { ListenerConfig } from '../config/index.js';
import type { ListenerSnapshot } from '../proxy/index.js';
import { httpRoutes, type UpstreamDirectory } from './http-routes.js';

/** What becomes of a listener's connections. */
type Routes = Pick<ListenerSnapshot, 'upstream' | 'routes' | 'http' | 'acceptProxyFrom'>;

/** What a listener's snapshot says about heads and routes. */
export function listenerRoutes(
  { name, tcp, http, acceptProxyFrom }: ListenerConfig,
  upstreams: UpstreamDirectory,
): Routes {
  return {
    ...(tcp === null ? { upstream: NO_UPSTREAM } : tcpRoutes(tcp, upstreams.positions)),
    ...(http !== null && { http: httpRoutes(name, http, upstreams) }),
    ...(acceptProxyFrom.length > 0 && { acceptProxyFrom }),
  };
}

/** Each request of an HTTP listener has its own. */
const NO_UPSTREAM = -1;

function tcpRoutes(
  tcp: NonNullable<ListenerConfig['tcp']>,
  upstreams: ReadonlyMap<string, number>,
): Pick<ListenerSnapshot, 'upstream' | 'routes'> {
  const routes = tcp.routes.map(({ serverNames, alpn, upstream }) => ({
    names: serverNames,
    ...(alpn !== null && { alpn }),
    upstream: upstreams.get(upstream)!,
  }));
  const isConditional = routes.some(({ names, alpn }) => names.length > 0 || alpn !== undefined);
  return { upstream: routes[0]!.upstream, ...(isConditional && { routes }) };
}
