import type { ForwardSnapshot } from './http-snapshot.js';

/** The golden ratio: its multiples modulo 1 spread as evenly as a sequence can (Weyl). */
const STRIDE = 0.6180339887498949;

/** Where a request goes. */
export interface Target {
  /** Position among the worker's upstreams. */
  readonly upstream: number;
  readonly name: string;
  /** What it is called in Host where that is the upstream's. */
  readonly host: Buffer;
}

/**
 * Shares requests between upstreams by weight. No randomness: at any time each has had its share to
 * within a few requests, and what comes next is not in step with clients that send in rounds.
 */
export class Split {
  private readonly targets: readonly Target[];
  /** Upper ends of the shares, the last one 1. */
  private readonly ends: readonly number[];
  private phase: number;

  /** @param worker position among the workers: each begins elsewhere */
  constructor({ targets }: ForwardSnapshot, worker: number) {
    const shares = targets.filter(({ weight }) => weight > 0);
    const total = shares.reduce((sum, { weight }) => sum + weight, 0);
    let sum = 0;
    this.targets = shares.map(({ upstream, name, host }) => ({
      upstream,
      name,
      host: Buffer.from(host, 'latin1'),
    }));
    this.ends = shares.map(({ weight }) => {
      sum += weight;
      return sum / total;
    });
    this.phase = (worker * STRIDE) % 1;
  }

  next(): Target {
    const last = this.targets.length - 1;
    if (last > 0) this.phase = (this.phase + STRIDE) % 1;
    let index = 0;
    while (index < last && this.phase >= this.ends[index]!) index++;
    return this.targets[index]!;
  }
}
