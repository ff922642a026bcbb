import type { HttpConfig, UpstreamConfig } from '../config/index.js';
import type { HttpSnapshot } from '../proxy/index.js';
import type { RouteLimits } from './route-limits.js';
import { upstreamHost } from './upstream-host.js';

/** Where forwarded requests can go. */
export interface UpstreamDirectory {
  /** Positions of the workers' upstreams, by name. */
  readonly positions: ReadonlyMap<string, number>;
  readonly configs: readonly UpstreamConfig[];
  /** What workers count together for routes. */
  readonly limits: RouteLimits;
}

/** A listener's `http` as workers are told it. @param listener its name */
export function httpRoutes(
  listener: string,
  http: HttpConfig,
  { positions, configs, limits }: UpstreamDirectory,
): HttpSnapshot {
  const hosts = new Map(configs.map((one) => [one.name, upstreamHost(one)]));
  return {
    ...http,
    routes: http.routes.map(({ action, guard: limited, ...route }) => {
      const guard = limits.guard(`${listener} ${route.name}`, limited);
      if (action.kind !== 'forward') return { ...route, guard, action };
      const targets = action.targets.map(({ upstream, weight }) => ({
        upstream: positions.get(upstream)!,
        name: upstream,
        host: hosts.get(upstream)!,
        weight,
      }));
      return { ...route, guard, action: { kind: action.kind, targets } };
    }),
  };
}
