import { statusClasses, statusClassOf } from '../status-class.js';
import { Refusal, refusalNames } from './guarding/index.js';
import { type Lateness, latenessNames } from './lateness.js';

/**
 * What is counted of each route, in memory that belongs to the route: a part for each worker, which is
 * its only writer, so plain stores of aligned doubles are enough. The control thread adds the parts up.
 */

/**
 * Upper bounds of the buckets for times, milliseconds, each bound included; one more bucket takes what is
 * above the last.
 */
export const requestBoundsMs = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000,
] as const;

const BUCKETS = requestBoundsMs.length + 1;

// What every request touches comes first, the two times of a bucket side by side: with thousands of routes
// these are the lines of the processor's cache that a request has to wait for.
const ACTIVE = 0;
const DURATION_SUM = ACTIVE + 1;
const FIRST_BYTE_SUM = DURATION_SUM + 1;
const CLASSES = FIRST_BYTE_SUM + 1;
const DURATIONS = CLASSES + statusClasses.length;
const FIRST_BYTES = DURATIONS + 1;
/** Slots of a bucket: {@link DURATIONS} and {@link FIRST_BYTES}. */
const BUCKET_SLOTS = 2;
const REFUSED = DURATIONS + BUCKETS * BUCKET_SLOTS;
const LATE = REFUSED + refusalNames.length;
const USED_SLOTS = LATE + latenessNames.length;
/** Doubles in a line of the processor's cache: no two workers write to one. */
const LINE_SLOTS = 8;
const SLOTS = Math.ceil(USED_SLOTS / LINE_SLOTS) * LINE_SLOTS;

/** One worker's part of a route's counters. */
export class RouteCounters {
  private readonly values: Float64Array;

  /**
   * @param shared made by {@link createMemory}
   * @param worker position among the workers
   */
  constructor(shared: SharedArrayBuffer, worker: number) {
    const { BYTES_PER_ELEMENT } = Float64Array;
    this.values = new Float64Array(shared, worker * SLOTS * BYTES_PER_ELEMENT, SLOTS);
  }

  static createMemory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer(workers * SLOTS * Float64Array.BYTES_PER_ELEMENT);
  }

  /** A request has come. */
  countBegun(): void {
    this.values[ACTIVE]!++;
  }

  /**
   * It is over.
   *
   * @param status of the response, 0 where there was none
   * @param durationMs from the request's head to the end of both bodies
   * @param firstByteMs from the request's head to the response's; negative where there was none
   */
  countEnded(status: number, durationMs: number, firstByteMs: number): void {
    const { values } = this;
    values[ACTIVE]!--;
    values[CLASSES + statusClassOf(status)]!++;
    values[DURATION_SUM]! += durationMs;
    values[DURATIONS + bucketOf(durationMs) * BUCKET_SLOTS]!++;
    if (firstByteMs < 0) return;
    values[FIRST_BYTE_SUM]! += firstByteMs;
    values[FIRST_BYTES + bucketOf(firstByteMs) * BUCKET_SLOTS]!++;
  }

  /** The route has refused it. */
  countRefused(refusal: Refusal): void {
    if (refusal !== Refusal.none) this.values[REFUSED + refusal - 1]!++;
  }

  /** It has taken too long. */
  countLate(lateness: Exclude<Lateness, 0>): void {
    this.values[LATE + lateness - 1]!++;
  }

  get active(): number {
    return this.values[ACTIVE]!;
  }

  /** @param index position in {@link statusClasses} */
  answeredWith(index: number): number {
    return this.values[CLASSES + index]!;
  }

  /** @param index position in `refusalNames` */
  refusedFor(index: number): number {
    return this.values[REFUSED + index]!;
  }

  /** @param index position in `latenessNames` */
  lateFor(index: number): number {
    return this.values[LATE + index]!;
  }

  get durationSumMs(): number {
    return this.values[DURATION_SUM]!;
  }

  /** @param bucket position among {@link requestBoundsMs}, or one past the last */
  endedIn(bucket: number): number {
    return this.values[DURATIONS + bucket * BUCKET_SLOTS]!;
  }

  get firstByteSumMs(): number {
    return this.values[FIRST_BYTE_SUM]!;
  }

  /** @param bucket as for {@link endedIn} */
  begunIn(bucket: number): number {
    return this.values[FIRST_BYTES + bucket * BUCKET_SLOTS]!;
  }

  /** Control: the worker is dead, and so are its requests. */
  forgetWorker(): void {
    this.values[ACTIVE] = 0;
  }
}

function bucketOf(elapsedMs: number): number {
  let bucket = 0;
  while (bucket < requestBoundsMs.length && elapsedMs > requestBoundsMs[bucket]!) bucket++;
  return bucket;
}
