import type { HttpConfig } from '../config/index.js';
import type { HttpSnapshot } from '../proxy/index.js';

/** A listener's `http` as workers are told it. @param upstreams positions of the upstreams, by name */
export function httpRoutes(http: HttpConfig, upstreams: ReadonlyMap<string, number>): HttpSnapshot {
  return {
    ...http,
    routes: http.routes.map((route) => {
      const { action } = route;
      if (action.kind !== 'forward') return { ...route, action };
      const targets = action.targets.map(({ upstream, weight }) => ({
        upstream: upstreams.get(upstream)!,
        weight,
      }));
      return { ...route, action: { kind: action.kind, targets } };
    }),
  };
}
