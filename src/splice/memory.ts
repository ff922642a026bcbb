import { addressOf, mapLowMemory } from './syscalls.js';

/**
 * A block of memory that system calls can be given by address. The address stays the same for as
 * long as the object lives, because the bytes are outside V8's heap.
 */
export class NativeMemory {
  /** The same bytes, for JavaScript. */
  readonly bytes: Buffer;
  /** Where the bytes are, as a number: user addresses have 47 bits, so it is exact. */
  readonly address: number;

  /**
   * @param byteLength size in bytes, ≥ 1; the content is zero
   * @param buffer where the bytes are, if they are somewhere already
   */
  constructor(
    readonly byteLength: number,
    // An ArrayBuffer of its own: a small typed array made directly may live inside V8's moving
    // heap, and Buffer's pool would have neighbours.
    buffer: ArrayBufferLike = new ArrayBuffer(byteLength),
    offset = 0,
  ) {
    this.bytes = Buffer.from(buffer, offset, byteLength);
    this.address = addressOf(this.bytes);
  }

  /**
   * Blocks below 2 GiB, where the machine has them: a higher address is a heap number of its own
   * each time it is passed to a system call, a low one a small integer. They are never given back,
   * so this is for what is used all the time and lives as long as its thread.
   */
  static low(byteLength: number, count: number): NativeMemory[] {
    const buffer = mapLowMemory(byteLength * count);
    return Array.from({ length: count }, (_, index) =>
      buffer === undefined
        ? new NativeMemory(byteLength)
        : new NativeMemory(byteLength, buffer, index * byteLength),
    );
  }
}
