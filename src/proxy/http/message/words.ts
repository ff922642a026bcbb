import { COLON, DEL, isFieldValue, SP } from './characters.js';

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
 * @param view of the same bytes
 */
export function skipFieldValue(view: DataView, bytes: Buffer, start: number, end: number): number {
  let at = start;
  for (const last = end - WORD_BYTES; at <= last; at += WORD_BYTES) {
    const word = view.getInt32(at, true);
    const unlikeDelete = word ^ DELETES;
    // A byte below a space, of which a tab is looked at again below, or DEL.
    const isNone = ((word - SPACES) & ~word) | ((unlikeDelete - ONES) & ~unlikeDelete);
    if ((isNone & HIGH_BITS) !== 0) break;
  }
  while (at < end && isFieldValue[bytes[at]!] === 1) at++;
  return at;
}

/** Where the first colon of the bytes [start, end) is; `end` without one. */
export function findColon(view: DataView, start: number, end: number): number {
  let at = start;
  for (const last = end - WORD_BYTES; at <= last; at += WORD_BYTES) {
    const unlike = view.getInt32(at, true) ^ COLONS;
    const found = (unlike - ONES) & ~unlike & HIGH_BITS;
    // The lowest bit that is set, in the byte that is a colon.
    if (found !== 0) return at + ((31 - Math.clz32(found & -found)) >> 3);
  }
  while (at < end && view.getUint8(at) !== COLON) at++;
  return at;
}
