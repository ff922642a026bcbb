import { COLON, DEL, HTAB, isFieldValue, SP } from './characters.js';

// Four bytes at a time, as one number: most bytes of a head are looked at only to be passed over. The tests for a
// byte in a word are those of "Bit Twiddling Hacks" (S. E. Anderson): the lowest byte they name is one indeed; above it
// a borrow may name others that are none.

const WORD_BYTES = 4;
const ONES = 0x01010101;
const HIGH_BITS = 0x80808080;
const SPACES = SP * ONES;
const DELETES = DEL * ONES;
const COLONS = COLON * ONES;

/**
 * Where bytes[start, end) stop to be those of a field's value.
 * @param view of the bytes
 */
export function skipFieldValue(view: DataView, start: number, end: number): number {
  let at = start;
  for (;;) {
    let found = 0;
    for (; at <= end - 2 * WORD_BYTES; at += 2 * WORD_BYTES) {
      found = controlsIn(view.getInt32(at, true));
      if (found !== 0) break;
      found = controlsIn(view.getInt32(at + WORD_BYTES, true));
      if (found === 0) continue;
      at += WORD_BYTES;
      break;
    }
    if (found === 0) break;
    at += firstByteOf(found);
    if (view.getUint8(at) !== HTAB) return at;
    at++;
  }
  while (at < end && isFieldValue[view.getUint8(at)] === 1) at++;
  return at;
}

/** Where the first colon of the bytes [start, end) is; `end` without one. */
export function findColon(view: DataView, start: number, end: number): number {
  let at = start;
  for (const last = end - WORD_BYTES; at <= last; at += WORD_BYTES) {
    const unlike = view.getInt32(at, true) ^ COLONS;
    const found = (unlike - ONES) & ~unlike & HIGH_BITS;
    if (found !== 0) return at + firstByteOf(found);
  }
  while (at < end && view.getUint8(at) !== COLON) at++;
  return at;
}

/** The high bits of bytes below a space, a tab among them, or DEL. */
function controlsIn(word: number): number {
  const unlikeDelete = word ^ DELETES;
  return (((word - SPACES) & ~word) | ((unlikeDelete - ONES) & ~unlikeDelete)) & HIGH_BITS;
}

/** The lowest bit that is set, as the byte it is in. */
function firstByteOf(found: number): number {
  return (31 - Math.clz32(found & -found)) >> 3;
}
