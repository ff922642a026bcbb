import { addressOf } from './syscalls.js';

/**
 * A block of memory that system calls can be given by address. The address stays the same for as
 * long as the object lives, because the bytes are outside V8's heap.
 */
export class NativeMemory {
  /** The same bytes, for JavaScript. */
  readonly bytes: Buffer;
  /** Where the bytes are, as a number: user addresses have 47 bits, so it is exact. */
  readonly address: number;

  /** @param byteLength size in bytes, ≥ 1; the content is zero */
  constructor(readonly byteLength: number) {
    // Over an ArrayBuffer of its own: a small typed array made directly may live inside V8's
    // moving heap, and Buffer's pool would have neighbours.
    this.bytes = Buffer.from(new ArrayBuffer(byteLength));
    this.address = addressOf(this.bytes);
  }
}
