import { keptOrMade } from '../kept-or-made.js';
import { type GuardSnapshot, RouteGuard } from './guarding/index.js';
import type { ForwardSnapshot } from './http-snapshot.js';
import { RewriterCache } from './rewriting/index.js';
import { Split } from './split.js';

/**
 * What the routes of one listener are put together from. Routes that want the same, and keep no count of
 * their own in it, have the same object: of thousands of routes, what most requests need stays in the
 * caches of the processor.
 */
export class RouteParts {
  readonly rewriters = new RewriterCache();
  private readonly splits = new Map<string, Split>();
  private readonly guards = new Map<string, RouteGuard>();

  /** @param worker position among the workers */
  splitOf(forward: ForwardSnapshot, worker: number): Split {
    // Where there is a choice, whose turn it is belongs to the route.
    if (forward.targets.length > 1) return new Split(forward, worker);
    return keptOrMade(
      this.splits,
      JSON.stringify(forward.targets),
      () => new Split(forward, worker),
    );
  }

  /** @param worker position among the workers */
  guardOf(guard: GuardSnapshot, worker: number): RouteGuard {
    const { allow, deny, basicAuth, rate, concurrent, bodyMax, bodyRateMin } = guard;
    const make = () => new RouteGuard(guard, worker);
    if (basicAuth !== null || rate !== null || concurrent !== null) return make();
    // Infinity is none of JSON's numbers.
    return keptOrMade(
      this.guards,
      JSON.stringify([allow, deny, String(bodyMax), bodyRateMin]),
      make,
    );
  }
}
