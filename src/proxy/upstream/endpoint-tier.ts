import type { Endpoint } from './endpoint.js';
import { type Balance, createPolicy, type Policy } from './policy/index.js';

/** The primaries of an upstream, or its backups, with the policy that chooses among them. */
export class EndpointTier {
  private readonly policy: Policy<Endpoint>;
  /** The only one there is. */
  private readonly single: Endpoint | undefined;

  constructor(
    private readonly endpoints: readonly Endpoint[],
    balance: Balance,
    seed: number,
  ) {
    this.policy = createPolicy(balance, endpoints, seed);
    this.single = endpoints.length === 1 ? endpoints[0] : undefined;
  }

  /** Somebody would be taken, if there was a place. */
  get isUsable(): boolean {
    for (const endpoint of this.endpoints) if (endpoint.isUsable) return true;
    return false;
  }

  /** How many of the tier are healthy, from 0 to 1; 0 for an empty tier. */
  get healthyShare(): number {
    const { endpoints } = this;
    let healthy = 0;
    for (const endpoint of endpoints) if (endpoint.isHealthy) healthy++;
    return healthy / Math.max(1, endpoints.length);
  }

  /** @returns an endpoint with a place taken, or nothing when none is available */
  select(key: number): Endpoint | undefined {
    if (this.single !== undefined) {
      return this.single.isUsable && this.single.begin() ? this.single : undefined;
    }
    // Another worker may take the last place between looking and taking. The next look finds that
    // endpoint full, unless places come and go all the time: then waiting is as good.
    for (let look = 0; look <= this.endpoints.length; look++) {
      const endpoint = this.policy.select(key);
      if (endpoint === undefined || endpoint.begin()) return endpoint;
    }
    return undefined;
  }
}
