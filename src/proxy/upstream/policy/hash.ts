/** Mixes 32 bits so that each bit of the input changes half of the output (MurmurHash3's fmix32). */
export function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * 32 bits for a run of bytes (FNV-1a, mixed). The same everywhere and in every version: several
 * Headgates in a row send a client to the same endpoint, and so does one after a restart.
 *
 * @param seed for several independent hashes of the same bytes
 */
export function hashBytes(bytes: Uint8Array, from: number, to: number, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let index = from; index < to; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return mix(hash);
}

/** 32 bits for a text. */
export function hashText(text: string, seed = 0): number {
  const bytes = Buffer.from(text);
  return hashBytes(bytes, 0, bytes.length, seed);
}
