import type { HttpRouteConfig } from '../../config/index.js';
import {
  ConnectionLimit,
  type GuardSnapshot,
  keptOrMade,
  RATE_LIMIT_BYTES,
  RouteCounters,
} from '../../proxy/index.js';

/** Requests that no route takes are counted under this name; no route can have it. */
export const NO_ROUTE = '';

/** A route, told apart from all others there have been. */
export interface RouteName {
  readonly listener: string;
  /** {@link NO_ROUTE} for requests without one. */
  readonly route: string;
}

interface Counted extends RouteName {
  readonly shared: SharedArrayBuffer;
}

/**
 * What workers count for routes, each for itself and together. It belongs to a listener's and a route's
 * name and outlives a reload: counters never go back, what is spent is spent, and requests under way count
 * against a limit that comes.
 */
export class RouteMemory {
  private readonly rates = new Map<string, SharedArrayBuffer>();
  private readonly concurrent = new Map<string, SharedArrayBuffer>();
  private readonly counters = new Map<string, Counted>();

  constructor(private readonly workers: number) {}

  guard(
    name: RouteName,
    { concurrentMax, rate, bodyMax, ...rest }: HttpRouteConfig['guard'],
  ): GuardSnapshot {
    const key = keyOf(name);
    return {
      ...rest,
      bodyMax: bodyMax ?? Number.POSITIVE_INFINITY,
      // Another rate counts time in another unit.
      rate: rate && {
        ...rate,
        shared: keptOrMade(
          this.rates,
          `${key} ${JSON.stringify(rate)}`,
          () => new SharedArrayBuffer(RATE_LIMIT_BYTES),
        ),
      },
      concurrent: concurrentMax === null ? null : { max: concurrentMax, shared: this.places(key) },
    };
  }

  /** Memory of a route's counters. */
  countersOf(name: RouteName): SharedArrayBuffer {
    const make = () => ({ ...name, shared: RouteCounters.createMemory(this.workers) });
    return keptOrMade(this.counters, keyOf(name), make).shared;
  }

  /** What was counted, by route; a part for each worker. */
  counted(): (RouteName & { readonly parts: readonly RouteCounters[] })[] {
    return [...this.counters.values()].map(({ listener, route, shared }) => ({
      listener,
      route,
      parts: Array.from({ length: this.workers }, (_, worker) => new RouteCounters(shared, worker)),
    }));
  }

  /** The worker is dead; its requests are over. */
  forgetWorker(worker: number): void {
    for (const shared of this.concurrent.values()) {
      new ConnectionLimit(shared, 0, worker).forgetWorker();
    }
    for (const { shared } of this.counters.values()) {
      new RouteCounters(shared, worker).forgetWorker();
    }
  }

  private places(key: string): SharedArrayBuffer {
    return keptOrMade(this.concurrent, key, () => ConnectionLimit.createMemory(this.workers));
  }
}

/** Names have no spaces. */
function keyOf({ listener, route }: RouteName): string {
  return `${listener} ${route}`;
}
