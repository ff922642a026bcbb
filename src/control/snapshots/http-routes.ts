import type { HttpConfig, UpstreamConfig } from '../../config/index.js';
import type { HttpSnapshot } from '../../proxy/index.js';
import { NO_ROUTE, type RouteMemory } from '../statistics/index.js';
import { mirrorSnapshot } from './mirrors.js';
import { upstreamHost } from './upstream-host.js';

/** Where forwarded requests can go. */
export interface UpstreamDirectory {
  /** Positions of the workers' upstreams, by name. */
  readonly positions: ReadonlyMap<string, number>;
  readonly configs: readonly UpstreamConfig[];
  /** What workers count together for routes. */
  readonly memory: RouteMemory;
  /** How many there are. */
  readonly workers: number;
}

/** A listener's `http` as workers are told it. @param listener its name */
export function httpRoutes(
  listener: string,
  http: HttpConfig,
  { positions, configs, memory, workers }: UpstreamDirectory,
): HttpSnapshot {
  const hosts = new Map(configs.map((one) => [one.name, upstreamHost(one)]));
  return {
    ...http,
    noRouteCounters: memory.countersOf({ listener, route: NO_ROUTE }),
    routes: http.routes.map(({ action, guard: limited, mirror, ...route }) => {
      const name = { listener, route: route.name };
      const kept = { guard: memory.guard(name, limited), counters: memory.countersOf(name) };
      if (action.kind === 'outbound') {
        const names = action.names.map((one) => ({
          ...one,
          upstream: positions.get(one.upstream)!,
        }));
        return { ...route, ...kept, action: { ...action, names } };
      }
      if (action.kind !== 'forward') return { ...route, ...kept, action };
      const targets = action.targets.map(({ upstream, weight }) => ({
        upstream: positions.get(upstream)!,
        name: upstream,
        host: hosts.get(upstream)!,
        weight,
      }));
      const forwarded = { ...route, ...kept, action: { kind: action.kind, targets } };
      if (mirror === null) return forwarded;
      return {
        ...forwarded,
        mirror: {
          ...mirrorSnapshot(mirror, positions, workers),
          name: mirror.upstream,
          hostName: hosts.get(mirror.upstream)!,
          host: mirror.host,
        },
      };
    }),
  };
}
