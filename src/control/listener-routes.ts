import type { ListenerConfig } from '../config/index.js';
import type { ListenerSnapshot } from '../proxy/index.js';

/**
 * What a listener's snapshot says about heads and routes.
 *
 * @param upstreams positions of the upstreams, by name
 */
export function listenerRoutes(
  { tcp, acceptProxyFrom }: ListenerConfig,
  upstreams: ReadonlyMap<string, number>,
): Pick<ListenerSnapshot, 'upstream' | 'routes' | 'acceptProxyFrom'> {
  const routes = tcp.routes.map(({ serverNames, alpn, upstream }) => ({
    names: serverNames,
    ...(alpn !== null && { alpn }),
    upstream: upstreams.get(upstream)!,
  }));
  const isConditional = routes.some(({ names, alpn }) => names.length > 0 || alpn !== undefined);
  return {
    upstream: routes[0]!.upstream,
    ...(isConditional && { routes }),
    ...(acceptProxyFrom.length > 0 && { acceptProxyFrom }),
  };
}
