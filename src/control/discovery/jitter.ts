/** A number from 0 to 1, 1 excluded; `Math.random` outside of tests. */
export type Random = () => number;

/** As much as one delay is longer than another of the same length. */
const SHARE = 0.1;

/** The delay, and by chance up to a tenth more: what began together drifts apart. */
export function jittered(delayMs: number, random: Random): number {
  return delayMs * (1 + SHARE * random());
}
