import { statusClassOf } from '../status-class.js';
import { EndpointTable, Own, TABLE_TICK_MS, Word } from './endpoint-table.js';

/** An ejection lasts at most so many times the configured duration. */
export const EJECTION_GROWTH_MAX = 10;

/**
 * A worker's hand in the endpoint table. What it adds to shared numbers it also notes in its own
 * part, so that the control thread can take it back should the worker die.
 */
export class EndpointLedger extends EndpointTable {
  private readonly own: Float64Array;

  /**
   * @param memory the table
   * @param worker position among the workers; no other thread may use the same one
   */
  constructor(
    memory: SharedArrayBuffer,
    readonly worker: number,
  ) {
    super(memory);
    this.own = this.ownPart(worker);
  }

  /**
   * Takes one of an endpoint's places, if there is one.
   *
   * @param max places for all workers together; Infinity for no limit
   */
  enter(slot: number, max: number): boolean {
    return this.take(slot, Word.Active, Own.Active, max);
  }

  /** Gives back what {@link enter} took. */
  leave(slot: number): void {
    this.giveBack(slot, Word.Active, Own.Active);
  }

  /** Takes a place in an upstream's queue. @param max places for all workers together */
  startWaiting(slot: number, max: number): boolean {
    return this.take(slot, Word.Waiting, Own.Waiting, max);
  }

  stopWaiting(slot: number): void {
    this.giveBack(slot, Word.Waiting, Own.Waiting);
  }

  /** Whether flows of other workers wait for the upstream. */
  isAwaitedElsewhere(slot: number): boolean {
    return this.waiting(slot) > this.own[this.ownIndex(slot, Own.Waiting)]!;
  }

  /** A connection was made: whatever went wrong before has passed. */
  /** @param isGood what failed before in a row is forgotten; otherwise an answer has to come first */
  connected(slot: number, isGood = true): void {
    this.own[this.ownIndex(slot, Own.Connects)]!++;
    if (isGood) this.succeeded(slot);
  }

  /** A request that was sent there is over. @param status of the response, 0 where none came */
  responded(slot: number, status: number): void {
    this.own[this.ownIndex(slot, Own.Responses + statusClassOf(status))]!++;
  }

  /** Nothing has failed in a row any more. */
  succeeded(slot: number): void {
    // Read first: a store would take the cache line from the other workers each time.
    if (this.load(slot, Word.FailuresInRow) !== 0) this.store(slot, Word.FailuresInRow, 0);
  }

  /** @param errno why, positive @returns attempts of all workers that failed in a row, this one included */
  failed(slot: number, errno: number): number {
    this.store(slot, Word.LastErrno, errno);
    return this.answeredBadly(slot);
  }

  /** The same for an answer that counts as a failure. */
  answeredBadly(slot: number): number {
    this.own[this.ownIndex(slot, Own.Failures)]!++;
    return this.add(slot, Word.FailuresInRow, 1) + 1;
  }

  /**
   * Ejects an endpoint: the first time for `baseMs`, each further time twice as long, at most ten
   * times `baseMs`. After a good time as long as the longest ejection it begins anew.
   *
   * @param tick now
   * @returns how long, in milliseconds; 0 when it is ejected already, by whatever worker
   */
  eject(slot: number, tick: number, baseMs: number): number {
    const until = this.load(slot, Word.EjectedUntil);
    if (until > tick) return 0;
    const longestMs = baseMs * EJECTION_GROWTH_MAX;
    const isForgiven = (tick - until) * TABLE_TICK_MS >= longestMs;
    const earlier = isForgiven ? 0 : this.load(slot, Word.EjectionsInRow);
    const durationMs = Math.min(baseMs * 2 ** earlier, longestMs);
    const end = tick + Math.ceil(durationMs / TABLE_TICK_MS);
    const index = this.wordIndex(slot, Word.EjectedUntil);
    if (Atomics.compareExchange(this.words, index, until, end) !== until) return 0;
    // Alone until `end`: nobody else ejects what is ejected.
    this.store(slot, Word.EjectionsInRow, earlier + 1);
    this.add(slot, Word.Ejections, 1);
    return durationMs;
  }

  /** Undoes the {@link eject} that this worker has just made. @param tick now */
  takeBackEjection(slot: number, tick: number): void {
    this.add(slot, Word.EjectionsInRow, -1);
    this.add(slot, Word.Ejections, -1);
    this.store(slot, Word.EjectedUntil, tick);
  }

  private take(slot: number, word: number, which: number, max: number): boolean {
    if (this.add(slot, word, 1) >= max) {
      this.add(slot, word, -1);
      return false;
    }
    this.own[this.ownIndex(slot, which)]!++;
    return true;
  }

  private giveBack(slot: number, word: number, which: number): void {
    this.own[this.ownIndex(slot, which)]!--;
    this.add(slot, word, -1);
  }
}
