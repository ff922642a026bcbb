/** A seeded generator (mulberry32): the same seed, the same test, on every machine. */
export class Random {
  private state: number;

  constructor(readonly seed: number) {
    this.state = seed | 0;
  }

  /** The seed of the environment variable `SEED`, or one that nobody has used yet. */
  static seed(): number {
    const given = process.env.SEED;
    return given === undefined ? (Date.now() ^ (process.pid << 12)) | 0 : Number(given) | 0;
  }

  /** A number in [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.next() * n < 1;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.next() * items.length)]!;
  }
}

/** Bytes without a period that a buffer or a page could hide, the same for the same seed. */
export function payload(seed: number, byteLength: number): Buffer {
  const bytes = Buffer.allocUnsafe(byteLength);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let index = 0; index < byteLength; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = state;
  }
  return bytes;
}
