/**
 * What has become of the sending direction of a connection whose records are OpenSSL's.
 *
 * ```
 *   open ──▶ closing ──▶ closed
 *     │         close_notify waits for room in the socket
 *     └────────────────────▲
 * ```
 */
export const Sending = { open: 0, closing: 1, closed: 2 } as const;
export type Sending = (typeof Sending)[keyof typeof Sending];
