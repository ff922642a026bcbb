import { hashText } from './hash.js';
import type { Candidate } from './policy.js';

/** Up to so many members the small table spreads keys to within a few per cent. */
const SMALL_MEMBERS_MAX = 40;
/** Prime, so that every step walks through the whole table. */
const SMALL_SIZE = 4099;
const LARGE_SIZE = 65_537;
const EMPTY = 0xffff;

/**
 * Maglev's lookup table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, §3.4): every member has an order of preference for the places, and they
 * choose in turn until none is free. A member that comes or goes moves little more than its share.
 *
 * @returns for each place the position of a member; empty when no member has a weight
 */
export function buildMaglevTable(members: readonly Candidate[]): Uint16Array {
  const choosers = members
    .map((member, index) => ({ index, identity: member.identity, weight: member.fullWeight }))
    .filter(({ weight }) => weight > 0)
    // The order in the configuration must not matter.
    .sort((one, other) => (one.identity < other.identity ? -1 : 1));
  if (choosers.length === 0) return new Uint16Array(0);
  const size = choosers.length <= SMALL_MEMBERS_MAX ? SMALL_SIZE : LARGE_SIZE;
  const heaviest = Math.max(...choosers.map(({ weight }) => weight));
  const places = new Uint16Array(size).fill(EMPTY);
  const choices = choosers.map((chooser) => new Preference(chooser.identity, size));
  const credits = new Float64Array(choosers.length);
  for (let taken = 0; ; ) {
    for (let turn = 0; turn < choosers.length; turn++) {
      // The heaviest chooses in every round, the others in as many as their weight is worth.
      credits[turn]! += choosers[turn]!.weight / heaviest;
      if (credits[turn]! < 1) continue;
      credits[turn]!--;
      places[choices[turn]!.firstFree(places)] = choosers[turn]!.index;
      if (++taken === size) return places;
    }
  }
}

/** The order in which one member wants the places: from `place` on in steps of `step`. */
class Preference {
  private place: number;
  private readonly step: number;

  constructor(
    identity: string,
    private readonly size: number,
  ) {
    this.place = hashText(identity) % size;
    this.step = (hashText(identity, 0x9e3779b9) % (size - 1)) + 1;
  }

  /** The next place nobody has; there must be one. */
  firstFree(places: Uint16Array): number {
    while (places[this.place] !== EMPTY) this.place = (this.place + this.step) % this.size;
    return this.place;
  }
}
