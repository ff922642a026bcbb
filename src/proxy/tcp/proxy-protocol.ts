import { PARTIAL } from './head-rejection.js';
import type { ProxyHeader } from './proxy-header.js';
import { parseV1 } from './proxy-v1.js';
import { parseV2 } from './proxy-v2.js';

/** The longest header read unless a listener allows more: addresses, and room for long TLVs. */
export const PROXY_HEADER_BYTES_MAX = 4096;

/** The first byte of version 2; version 1 begins with a `P`. */
const V2_FIRST_BYTE = 0x0d;

/**
 * Parses the PROXY header, of either version, at the beginning of a stream. There must be one: whether
 * it is expected is for the configuration to say, never for the bytes (proxy-protocol.txt §2).
 *
 * @param bytes bytes[start, end) are the beginning of the stream; nothing outside is read
 * @param header its fields mean something only when bytes were consumed
 * @param bytesMax the longest v2 header to accept; a v1 line has at most 107 bytes anyway
 * @returns bytes of the header, PARTIAL, or a negative rejection. A prefix of a good header is PARTIAL;
 *   what is rejected stays rejected for the same reason whatever follows.
 */
export function parseProxyHeader(
  bytes: Buffer,
  start: number,
  end: number,
  header: ProxyHeader,
  bytesMax: number = PROXY_HEADER_BYTES_MAX,
): number {
  if (start === end) {
    header.wantedBytes = 1;
    return PARTIAL;
  }
  return bytes[start] === V2_FIRST_BYTE
    ? parseV2(bytes, start, end, header, bytesMax)
    : parseV1(bytes, start, end, header);
}
