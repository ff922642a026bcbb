import type { Pipe } from './pipe.js';

/**
 * Sees every byte that a pump reads, once, in order, before the sink is given it. It must never
 * block, fail or slow the pump: what it cannot take at once it does without.
 */
export interface PumpTap {
  /** The pump's pipe holds these bytes and nothing else: tee(2) duplicates them. */
  spliced(pipe: Pipe, bytes: number): void;
  /** The bytes came through userland, and stay at this address until the call returns. */
  copied(address: number, bytes: number): void;
  /**
   * Nothing more comes; called once at most, by whoever owns the pump and knows.
   * @param isWhole the stream, or the body, has ended; otherwise the rest will not be read
   */
  ended?(isWhole: boolean): void;
}

/** Two taps where a pump has a place for one. */
export class TapPair implements PumpTap {
  constructor(
    private readonly first: PumpTap,
    private readonly second: PumpTap,
  ) {}

  spliced(pipe: Pipe, bytes: number): void {
    this.first.spliced(pipe, bytes);
    this.second.spliced(pipe, bytes);
  }

  copied(address: number, bytes: number): void {
    this.first.copied(address, bytes);
    this.second.copied(address, bytes);
  }

  ended(isWhole: boolean): void {
    this.first.ended?.(isWhole);
    this.second.ended?.(isWhole);
  }
}
