import type { Candidate, Policy } from './policy.js';
import { Turns } from './turns.js';

/**
 * The one with the fewest connections for its weight, over all workers. Among equals, everybody in
 * turn, the heavier the more often: where connections are short, all have none most of the time.
 */
export class LeastConnections<Member extends Candidate> implements Policy<Member> {
  private readonly turns: Turns;
  /** Loads of this selection, read once: other workers change them all the time. */
  private readonly loads: Float64Array;

  /** @param seed who begins among equals */
  constructor(
    private readonly members: readonly Member[],
    seed: number,
  ) {
    this.turns = new Turns(members.length, seed);
    this.loads = new Float64Array(members.length);
  }

  select(): Member | undefined {
    const least = this.readLoads();
    if (least === Number.POSITIVE_INFINITY) return undefined;
    for (let index = 0; index < this.members.length; index++) {
      if (this.loads[index] === least) this.turns.offer(index, this.members[index]!.weight);
    }
    return this.members[this.turns.take()];
  }

  /** @returns the least load, infinite when nobody is available */
  private readLoads(): number {
    let least = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.members.length; index++) {
      const member = this.members[index]!;
      const load = member.isAvailable ? member.active / member.weight : Number.POSITIVE_INFINITY;
      this.loads[index] = load;
      if (load < least) least = load;
    }
    return least;
  }
}
