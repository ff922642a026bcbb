/** Keys of one limit share a table of so many pairs of counters; a power of two. */
const SLOTS = 32_768;
const MASK = SLOTS - 1;
/** Shared memory a limit needs, bytes. */
export const RATE_LIMIT_BYTES = SLOTS * 2 * Int32Array.BYTES_PER_ELEMENT;

/** How often one of each key may come, for all workers together. */
export interface RateSnapshot {
  /** So many requests in `perMs`, in the long run. */
  readonly requests: number;
  readonly perMs: number;
  /** So many at once, ≥ 1. */
  readonly burst: number;
  /** What is counted together: requests of one client, those of the route, or those with one value of a header. */
  readonly key: 'source' | 'route' | { readonly header: string };
  /** {@link RATE_LIMIT_BYTES} of zeros at first. */
  readonly shared: SharedArrayBuffer;
}

/** A burst takes at most so many units of time, a sixteenth of what 32 bits can tell apart. */
const SPAN_UNITS_MAX = 2 ** 28;
/** Requests of one key that are looked at in the same moment, one a worker: so many shares may be spent that will be given back. */
const CONTENDERS_MAX = 256;
/** A request's share of time is told to within a thousandth, where the burst allows. */
const SHARE_UNITS = 1000;

/**
 * A token bucket for each key, in a fixed amount of shared memory: the generic cell rate algorithm (ITU-T
 * I.371), which needs one number a key, the time up to which its tokens are spent. Each key has two
 * places and is judged by the better one, so keys are held back for others only where both places are
 * shared.
 */
export class RateLimit {
  private readonly spentUntil: Int32Array;
  private readonly unitMs: number;
  /** What one request takes, and what a whole bucket holds, units. */
  private readonly shareUnits: number;
  private readonly spanUnits: number;
  /** A place is never further ahead: what seems to be was written long ago, before the numbers came round. */
  private readonly aheadMax: number;
  /** After a refusal: when the next request may come, ms. */
  retryAfterMs = 0;

  constructor({ requests, perMs, burst, shared }: Omit<RateSnapshot, 'key'>) {
    this.spentUntil = new Int32Array(shared);
    const shareMs = perMs / requests;
    this.unitMs = Math.max(shareMs / SHARE_UNITS, (shareMs * burst) / SPAN_UNITS_MAX);
    this.shareUnits = Math.max(1, Math.round(shareMs / this.unitMs));
    this.spanUnits = this.shareUnits * burst;
    this.aheadMax = this.spanUnits + this.shareUnits * Math.min(burst, CONTENDERS_MAX);
  }

  /**
   * Takes a token of a key, if there is one.
   *
   * @param key 32 bits
   * @param nowMs monotonic, the same for all threads
   */
  take(key: number, nowMs: number): boolean {
    // Modulo 2³²: differences are what counts.
    const now = Math.floor(nowMs / this.unitMs) | 0;
    const first = slotOf(key, 0);
    const second = slotOf(key, 1);
    const debt = Math.min(this.spend(first, now), this.spend(second, now));
    if (debt <= this.spanUnits) return true;
    Atomics.sub(this.spentUntil, first, this.shareUnits);
    Atomics.sub(this.spentUntil, second, this.shareUnits);
    this.retryAfterMs = (debt - this.spanUnits) * this.unitMs;
    return false;
  }

  /**
   * Spends a request's share at one place, before it is known whether there is one: so workers that come
   * at the same moment do not both take the last. Those that meet in different order at the two places of a key may: a
   * bucket that empties gives at most one more for each worker but one.
   *
   * @returns units that the place is ahead of now
   */
  private spend(slot: number, now: number): number {
    const { spentUntil, aheadMax, shareUnits } = this;
    for (;;) {
      const seen = Atomics.load(spentUntil, slot);
      const ahead = (seen - now) | 0;
      // What is behind is spent by time.
      const isCurrent = ahead > 0 && ahead <= aheadMax;
      const debt = (isCurrent ? ahead : 0) + shareUnits;
      if (Atomics.compareExchange(spentUntil, slot, seen, (now + debt) | 0) === seen) return debt;
    }
  }
}

/** Two independent places for a key: multiplicative hashing (Knuth) with two odd factors. */
function slotOf(key: number, row: 0 | 1): number {
  const mixed = Math.imul(key ^ (key >>> 15), row === 0 ? 0x9e3779b1 : 0x85ebca77);
  return row * SLOTS + ((mixed >>> 16) & MASK);
}
