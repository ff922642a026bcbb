import type { HttpConfig, UpstreamConfig } from '../config/index.js';
import type { HttpSnapshot } from '../proxy/index.js';
import { upstreamHost } from './upstream-host.js';

/** Where forwarded requests can go. */
export interface UpstreamDirectory {
  /** Positions of the workers' upstreams, by name. */
  readonly positions: ReadonlyMap<string, number>;
  readonly configs: readonly UpstreamConfig[];
}

/** A listener's `http` as workers are told it. */
export function httpRoutes(
  http: HttpConfig,
  { positions, configs }: UpstreamDirectory,
): HttpSnapshot {
  const hosts = new Map(configs.map((one) => [one.name, upstreamHost(one)]));
  return {
    ...http,
    routes: http.routes.map((route) => {
      const { action } = route;
      if (action.kind !== 'forward') return { ...route, action };
      const targets = action.targets.map(({ upstream, weight }) => ({
        upstream: positions.get(upstream)!,
        name: upstream,
        host: hosts.get(upstream)!,
        weight,
      }));
      return { ...route, action: { kind: action.kind, targets } };
    }),
  };
}
