// Candidates without sockets, threads or tables.
import type { Candidate } from '#src/proxy/upstream/policy/policy.js';

export class TestCandidate implements Candidate {
  active = 0;
  isAvailable = true;
  weight: number;
  readonly fullWeight: number;

  constructor(
    readonly identity: string,
    weight = 1,
  ) {
    this.fullWeight = weight * 1000;
    this.weight = this.fullWeight;
  }
}

/** One candidate for each weight. */
export function pool(...weights: number[]): TestCandidate[] {
  return weights.map((weight, index) => new TestCandidate(`10.0.0.${index}:80`, weight));
}

/** How often each was chosen, as parts of the whole. */
export function shares(
  members: readonly TestCandidate[],
  chosen: readonly (TestCandidate | undefined)[],
): number[] {
  return members.map((member) => chosen.filter((one) => one === member).length / chosen.length);
}
