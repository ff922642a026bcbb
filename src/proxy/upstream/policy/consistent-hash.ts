import { mix } from './hash.js';
import { buildMaglevTable } from './maglev-table.js';
import type { Candidate, Policy } from './policy.js';

/** Places looked at before the rest is searched one by one. */
const PROBES_MAX = 32;
/** Any odd number does: the next probe's hash must differ from this one's. */
const NEXT_PROBE = 0x9e3779b9;

/**
 * The same key to the same endpoint for as long as that is available. Keys of one that is not go on
 * to places hashed anew: spread over the others, and back home when it returns. An endpoint that
 * warms up gets as many of its keys as its weight so far is worth, always the same ones first.
 */
export class ConsistentHash<Member extends Candidate> implements Policy<Member> {
  private readonly table: Uint16Array;

  constructor(private readonly members: readonly Member[]) {
    this.table = buildMaglevTable(members);
  }

  select(key: number): Member | undefined {
    const size = this.table.length;
    if (size === 0) return undefined;
    let hash = mix(key);
    for (let probe = 0; probe < PROBES_MAX; probe++) {
      const member = this.members[this.table[hash % size]!]!;
      if (member.isAvailable && isWarmFor(member, hash)) return member;
      hash = mix(hash + NEXT_PROBE);
    }
    return this.firstAvailable(hash);
  }

  /** Whoever comes first from a place that depends on the key. */
  private firstAvailable(hash: number): Member | undefined {
    const count = this.members.length;
    for (let step = 0; step < count; step++) {
      const member = this.members[(hash + step) % count]!;
      if (member.isAvailable) return member;
    }
    return undefined;
  }
}

function isWarmFor(member: Candidate, hash: number): boolean {
  const { weight, fullWeight } = member;
  // Mixed again, because all keys at this place have hashes alike.
  return weight >= fullWeight || mix(hash ^ NEXT_PROBE) * fullWeight < weight * 2 ** 32;
}
