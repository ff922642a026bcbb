/** Counters in each of the two rows; a power of two. */
const SLOTS = 65536;
const MASK = SLOTS - 1;
const SKETCH_SLOTS = SLOTS * 2;
const SKETCH_BYTES = SKETCH_SLOTS * Int32Array.BYTES_PER_ELEMENT;

/**
 * How many connections each source address has open, over all workers, in a fixed amount of shared
 * memory: a count-min sketch of two rows that can also count down. Two sources may share a counter
 * in one row, hardly ever in both, so a source may be taken to have more connections than it has,
 * never fewer.
 *
 * Behind the sketch of all workers is one for each of them, of what it has added: to be taken back
 * should the worker die. Memory that nobody writes to takes no room.
 */
export class SourceLimit {
  /** Of all workers, written by atomic operations only. */
  private readonly counters: Int32Array;
  private readonly own: Int32Array;

  /**
   * @param shared made by {@link createMemory}
   * @param max connections of one source, ≥ 1
   * @param worker whose connections are counted, from 0
   */
  constructor(
    shared: SharedArrayBuffer,
    readonly max: number,
    worker: number,
  ) {
    this.counters = new Int32Array(shared, 0, SKETCH_SLOTS);
    this.own = new Int32Array(shared, (1 + worker) * SKETCH_BYTES, SKETCH_SLOTS);
  }

  static createMemory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + workers) * SKETCH_BYTES);
  }

  /** Takes a place for a source if it has one left. @param key {@link sourceKey} of its address */
  enter(key: number): boolean {
    const first = this.add(slot(key, 0), 1);
    const second = this.add(slot(key, 1), 1);
    if (Math.min(first, second) < this.max) return true;
    this.leave(key);
    return false;
  }

  leave(key: number): void {
    this.add(slot(key, 0), -1);
    this.add(slot(key, 1), -1);
  }

  /** Control: the worker is dead; its places are free. */
  forgetWorker(): void {
    for (let slot = 0; slot < SKETCH_SLOTS; slot++) {
      if (this.own[slot] !== 0) this.add(slot, -this.own[slot]!);
    }
  }

  /** @returns the number of all workers before */
  private add(slot: number, amount: number): number {
    this.own[slot]! += amount;
    return Atomics.add(this.counters, slot, amount);
  }
}

/**
 * A source address as 32 bits: an IPv4 address itself, an IPv6 address by its /64, which is what one
 * customer has (RFC 6177).
 *
 * @param bytes where the address is
 * @param offset of its first byte
 * @param length 4 or 16
 */
export function sourceKey(bytes: Uint8Array, offset: number, length: 4 | 16): number {
  let key = 0x811c9dc5;
  const end = offset + (length === 4 ? 4 : 8);
  for (let index = offset; index < end; index++) {
    key = Math.imul(key ^ bytes[index]!, 0x01000193);
  }
  return key | 0;
}

/** Two independent places for a key: multiplicative hashing (Knuth) with two odd factors. */
function slot(key: number, row: 0 | 1): number {
  const mixed = Math.imul(key ^ (key >>> 15), row === 0 ? 0x9e3779b1 : 0x85ebca77);
  return row * SLOTS + ((mixed >>> 16) & MASK);
}
