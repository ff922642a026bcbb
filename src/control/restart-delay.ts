const FIRST_MS = 100;
const LONGEST_MS = 5_000;
/** Who has lived this long does not die of what killed the ones before. */
const GOOD_LIFE_MS = 60_000;

/**
 * How long a place among the workers stays empty after a death: 100 ms, twice as long each time
 * death comes soon, 5 s at most. A worker that dies at once must not take the machine with it.
 */
export class RestartDelay {
  private nextMs = FIRST_MS;

  /** @param livedMs how long the one that died had lived */
  next(livedMs: number): number {
    const delayMs = livedMs >= GOOD_LIFE_MS ? FIRST_MS : this.nextMs;
    this.nextMs = Math.min(delayMs * 2, LONGEST_MS);
    return delayMs;
  }
}
