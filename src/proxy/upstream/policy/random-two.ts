import type { Candidate, Policy, RandomSource } from './policy.js';

/**
 * Two at random, the heavier the likelier, and of these the one with fewer connections for its
 * weight (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). Nearly as
 * even as {@link LeastConnections}, without all workers going for the same endpoint at the same time.
 */
export class RandomTwo<Member extends Candidate> implements Policy<Member> {
  /** Weights of this selection, 0 for those that are not available. */
  private readonly weights: Float64Array;

  constructor(
    private readonly members: readonly Member[],
    private readonly random: RandomSource,
  ) {
    this.weights = new Float64Array(members.length);
  }

  select(): Member | undefined {
    const total = this.readWeights();
    if (total === 0) return undefined;
    const first = this.draw(total);
    const one = this.members[first]!;
    const rest = total - this.weights[first]!;
    if (rest === 0) return one;
    this.weights[first] = 0;
    const other = this.members[this.draw(rest)]!;
    return other.active * one.weight < one.active * other.weight ? other : one;
  }

  /** @returns their sum */
  private readWeights(): number {
    let total = 0;
    for (let index = 0; index < this.members.length; index++) {
      const member = this.members[index]!;
      const weight = member.isAvailable ? member.weight : 0;
      this.weights[index] = weight;
      total += weight;
    }
    return total;
  }

  /** @param total sum of the weights, > 0 @returns somebody whose weight is not 0 */
  private draw(total: number): number {
    let left = this.random() * total;
    let last = 0;
    for (let index = 0; index < this.weights.length; index++) {
      const weight = this.weights[index]!;
      if (weight === 0) continue;
      last = index;
      left -= weight;
      if (left < 0) return index;
    }
    return last;
  }
}
