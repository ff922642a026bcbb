import type { HttpRouteConfig } from '../config/index.js';
import { ConnectionLimit, type GuardSnapshot, RATE_LIMIT_BYTES } from '../proxy/index.js';

/**
 * What workers count together for routes. It belongs to a listener's and a route's name and outlives a
 * reload: what is spent is spent, and requests under way count against a limit that comes.
 */
export class RouteLimits {
  private readonly rates = new Map<string, SharedArrayBuffer>();
  private readonly concurrent = new Map<string, SharedArrayBuffer>();

  constructor(private readonly workers: number) {}

  /** @param key the route's own */
  guard(
    key: string,
    { concurrentMax, rate, bodyMax, ...rest }: HttpRouteConfig['guard'],
  ): GuardSnapshot {
    return {
      ...rest,
      bodyMax: bodyMax ?? Number.POSITIVE_INFINITY,
      rate: rate && {
        ...rate,
        // Another rate counts time in another unit.
        shared: memoryOf(this.rates, `${key} ${JSON.stringify(rate)}`, () => {
          return new SharedArrayBuffer(RATE_LIMIT_BYTES);
        }),
      },
      concurrent:
        concurrentMax === null
          ? null
          : {
              max: concurrentMax,
              shared: memoryOf(this.concurrent, key, () =>
                ConnectionLimit.createMemory(this.workers),
              ),
            },
    };
  }

  /** The worker is dead; its requests are over. */
  forgetWorker(worker: number): void {
    for (const shared of this.concurrent.values()) {
      new ConnectionLimit(shared, 0, worker).forgetWorker();
    }
  }
}

function memoryOf(
  known: Map<string, SharedArrayBuffer>,
  key: string,
  make: () => SharedArrayBuffer,
): SharedArrayBuffer {
  const shared = known.get(key) ?? make();
  known.set(key, shared);
  return shared;
}
