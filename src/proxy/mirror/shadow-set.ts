import { Counter, type Counters } from '../counters.js';
import type { Upstream } from '../upstream/index.js';
import type { Shadow } from './shadow.js';

/** The live shadows of one worker. No flow waits for them, so somebody else has to know them. */
export class ShadowSet {
  /**
   * In no order; each knows its place. Not a Set: with a thousand entries a millisecond that come and go it makes tables
   * anew all the time, each of which refers to the next; once one of them is old, so is, to a scavenge, all that
   * ever were in those behind it.
   */
  private readonly live: Shadow[] = [];
  /** By position of the listener's counters. */
  private readonly counts: number[] = [];

  /** @param onEmpty the last one has ended */
  constructor(
    private readonly counters: Counters,
    private readonly onEmpty: () => void,
  ) {}

  get size(): number {
    return this.live.length;
  }

  countOf(listener: number): number {
    return this.counts[listener] ?? 0;
  }

  add(shadow: Shadow): void {
    const { listener } = shadow.mirror;
    shadow.place = this.live.length;
    this.live.push(shadow);
    this.counts[listener] = this.countOf(listener) + 1;
    this.counters.values[Counter.mirrors_active] = this.size;
    this.counters.countMirrored(listener);
  }

  delete(shadow: Shadow): void {
    const last = this.live.pop()!;
    if (last !== shadow) {
      this.live[shadow.place] = last;
      last.place = shadow.place;
    }
    this.counts[shadow.mirror.listener]!--;
    this.counters.values[Counter.mirrors_active] = this.size;
    if (this.size === 0) this.onEmpty();
  }

  /** Upstreams were replaced: what is not connected yet goes on with the one of the same name. */
  moveTo(upstreams: readonly Upstream[]): void {
    for (const shadow of [...this.live]) {
      const successor = upstreams.find(({ name }) => name === shadow.upstreamName);
      if (successor !== undefined) shadow.moveTo(successor);
    }
  }

  /** Ends all of them now. */
  close(): void {
    for (const shadow of [...this.live]) {
      try {
        shadow.drop();
      } catch {
        // Its own bug: the next one may be well.
      }
    }
  }
}
