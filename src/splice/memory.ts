import { addressOf, mapLowMemory } from './syscalls.js';
import { requireWhole } from './whole-number.js';

/**
 * Between blocks whose beginnings are used together. At a distance of a power of two they would all want the same few
 * places of the processor's caches.
 */
const STAGGER_BYTES = 320;

/**
 * A block of memory that system calls can be given by address. The address stays the same for as
 * long as the object lives, because the bytes are outside V8's heap. Another thread may be shown a copy of `bytes`, but
 * not be given its buffer (postMessage's transfer list): the address would go with it.
 */
export class NativeMemory {
  /** The memory is bytes[start, end), for JavaScript; neighbours have the same `bytes`. */
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  /** Where the memory is, as a number: user addresses have 47 bits, so it is exact. */
  readonly address: number;
  /** Address of bytes[0]. */
  private readonly base: number;

  /**
   * @param byteLength size in bytes, ≥ 1; the content is zero
   * @param buffer where the bytes are, if they are somewhere already
   * @param shared all of `buffer`, if others use it as well
   * @throws RangeError when the size is not a whole number ≥ 1, or more than there is
   */
  constructor(
    readonly byteLength: number,
    // An ArrayBuffer of its own: a small typed array made directly may live inside V8's moving
    // heap, and Buffer's pool would have neighbours.
    buffer: ArrayBufferLike = new ArrayBuffer(byteLength),
    offset = 0,
    shared?: { readonly bytes: Buffer; readonly base: number },
  ) {
    requireWhole('byteLength', byteLength, 1);
    this.bytes = shared?.bytes ?? Buffer.from(buffer, offset, byteLength);
    this.start = shared === undefined ? 0 : offset;
    this.end = this.start + byteLength;
    this.base = shared?.base ?? addressOf(this.bytes);
    this.address = this.base + this.start;
  }

  /**
   * A block of its own with the same bytes, ≥ 1.
   * @throws TypeError for a string: Buffer.from says in which encoding
   */
  static copyOf(bytes: Uint8Array): NativeMemory {
    if (!(bytes instanceof Uint8Array)) throw new TypeError('bytes is no Uint8Array');
    const memory = new NativeMemory(bytes.length);
    memory.bytes.set(bytes);
    return memory;
  }

  /**
   * The address of a part of it.
   *
   * @param offset bytes from the beginning of this block
   * @throws RangeError when the part is not all inside: what is around it is other people's memory
   */
  addressOf(offset: number, length: number): number {
    requireWhole('offset', offset, 0, this.byteLength);
    requireWhole('length', length, 0, this.byteLength - offset);
    return this.address + offset;
  }

  /** The address of bytes[index]. */
  at(index: number): number {
    return this.base + index;
  }

  /**
   * Blocks below 2 GiB, where the machine has them: a higher address is a heap number of its own
   * each time it is passed to a system call, a low one a small integer. They are never given back,
   * so this is for what is used all the time and lives as long as its thread.
   */
  static low(byteLength: number, count: number): NativeMemory[] {
    const stride = byteLength + STAGGER_BYTES;
    const buffer = mapLowMemory(stride * count);
    return Array.from({ length: count }, (_, index) =>
      buffer === undefined
        ? new NativeMemory(byteLength)
        : new NativeMemory(byteLength, buffer, index * stride),
    );
  }

  /**
   * The same for blocks whose bytes are copied to and fro: they are parts of the same `bytes`, within which
   * `copyWithin` needs no typed array for the source, as `Buffer.copy` does in Node 20.
   *
   * @param byteLengths of each block; its neighbours are directly before and behind it
   */
  static neighbours(byteLengths: readonly number[]): NativeMemory[] {
    const total = byteLengths.reduce((sum, byteLength) => sum + byteLength, 0);
    const buffer = mapLowMemory(total) ?? new ArrayBuffer(total);
    const bytes = Buffer.from(buffer);
    const shared = { bytes, base: addressOf(bytes) };
    let offset = 0;
    return byteLengths.map((byteLength) => {
      const memory = new NativeMemory(byteLength, buffer, offset, shared);
      offset += byteLength;
      return memory;
    });
  }
}

/** Asked for by a Buffer it is looked for in four prototypes, each time: V8 does not remember where it was. */
const { copyWithin } = Uint8Array.prototype;

/**
 * Copies from[start, end) to to[at, …), which must have room; the two may be the same.
 * @returns how many bytes
 */
export function copyBytes(
  from: Buffer,
  start: number,
  end: number,
  to: Buffer,
  at: number,
): number {
  if (from === to) copyWithin.call(to, at, start, end);
  else from.copy(to, at, start, end);
  return end - start;
}
