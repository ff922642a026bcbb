/**
 * How endpoints are chosen: round robin, fewest connections, the better of two at random, and
 * consistent hashing, side by side behind one interface. A policy knows candidates, not sockets.
 */
import { ConsistentHash } from './consistent-hash.js';
import { LeastConnections } from './least-connections.js';
import type { Candidate, Policy } from './policy.js';
import { RandomTwo } from './random-two.js';
import { RoundRobin } from './round-robin.js';
import { seededRandom } from './seeded-random.js';

export { hashBytes, hashText, mix } from './hash.js';
export type { Candidate, Policy } from './policy.js';

/** The name of a policy, or what consistent hashing takes its key from. */
export type Balance =
  | 'round_robin'
  | 'least_connections'
  | 'random_two'
  | {
      /** `source_ip`; for HTTP also `path`, `header:NAME` and `cookie:NAME`. */
      readonly hash: string;
    };

/** @param seed ≥ 0, a different one in each worker; the same seed makes the same choices */
export function createPolicy<Member extends Candidate>(
  balance: Balance,
  members: readonly Member[],
  seed: number,
): Policy<Member> {
  switch (balance) {
    case 'round_robin':
      return new RoundRobin(members, seed);
    case 'least_connections':
      return new LeastConnections(members, seed);
    case 'random_two':
      return new RandomTwo(members, seededRandom(seed));
    default:
      return new ConsistentHash(members);
  }
}
