/** The polynomial of Castagnoli, bits reversed (RFC 9260 Appendix A, which replaced RFC 4960's B). */
const POLYNOMIAL = 0x82f63b78;

const table = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ ((value & 1) === 0 ? 0 : POLYNOMIAL);
  return value;
});

/**
 * CRC32C of bytes[start, end), with the four bytes at `zeroAt` taken for zeros: a checksum that stands
 * in the bytes it is made of.
 *
 * @returns an unsigned 32-bit number
 */
export function crc32c(bytes: Buffer, start: number, end: number, zeroAt: number): number {
  let crc = 0xffffffff;
  for (let at = start; at < end; at++) {
    const byte = at >= zeroAt && at < zeroAt + 4 ? 0 : bytes[at]!;
    crc = (crc >>> 8) ^ table[(crc ^ byte) & 0xff]!;
  }
  return ~crc >>> 0;
}
