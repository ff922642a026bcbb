import type { ForwardSnapshot } from './http-snapshot.js';

/** The golden ratio: its multiples modulo 1 spread as evenly as a sequence can (Weyl). */
const STRIDE = 0.6180339887498949;

/**
 * Shares requests between upstreams by weight. No randomness: at any time each has had its share to
 * within a few requests, and what comes next is not in step with clients that send in rounds.
 */
export class Split {
  /** Positions among the worker's upstreams. */
  private readonly upstreams: readonly number[];
  /** Upper ends of the shares, the last one 1. */
  private readonly ends: readonly number[];
  private phase: number;

  /** @param worker position among the workers: each begins elsewhere */
  constructor({ targets }: ForwardSnapshot, worker: number) {
    const shares = targets.filter(({ weight }) => weight > 0);
    const total = shares.reduce((sum, { weight }) => sum + weight, 0);
    let sum = 0;
    this.upstreams = shares.map(({ upstream }) => upstream);
    this.ends = shares.map(({ weight }) => {
      sum += weight;
      return sum / total;
    });
    this.phase = (worker * STRIDE) % 1;
  }

  /** @returns a position among the worker's upstreams */
  next(): number {
    const last = this.upstreams.length - 1;
    if (last > 0) this.phase = (this.phase + STRIDE) % 1;
    let index = 0;
    while (index < last && this.phase >= this.ends[index]!) index++;
    return this.upstreams[index]!;
  }
}
