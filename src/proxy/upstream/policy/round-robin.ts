import type { Candidate, Policy } from './policy.js';
import { Turns } from './turns.js';

/** Everybody in turn, the heavier the more often. Each worker takes turns of its own. */
export class RoundRobin<Member extends Candidate> implements Policy<Member> {
  private readonly turns: Turns;

  /** @param seed who begins: workers should not all begin with the same endpoint */
  constructor(
    private readonly members: readonly Member[],
    seed: number,
  ) {
    this.turns = new Turns(members.length, seed);
  }

  select(): Member | undefined {
    for (let index = 0; index < this.members.length; index++) {
      const member = this.members[index]!;
      if (member.isAvailable) this.turns.offer(index, member.weight);
    }
    return this.members[this.turns.take()];
  }
}
