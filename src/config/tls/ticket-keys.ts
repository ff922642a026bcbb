import { accepted, type Parsed, refused } from '../values/index.js';

export const TICKET_KEY_BYTES = 80;
const KEYS_MAX = 16;

/** Cuts the content of a file into ticket keys. The first one encrypts, all decrypt. */
export function parseTicketKeys(content: Uint8Array): Parsed<Uint8Array[]> {
  const count = content.length / TICKET_KEY_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > KEYS_MAX) {
    return refused(
      `it has ${content.length} bytes, expected 1 to ${KEYS_MAX} keys of ${TICKET_KEY_BYTES} bytes (openssl rand ${TICKET_KEY_BYTES})`,
    );
  }
  return accepted(
    Array.from({ length: count }, (_, index) =>
      Uint8Array.from(content.subarray(index * TICKET_KEY_BYTES, (index + 1) * TICKET_KEY_BYTES)),
    ),
  );
}
