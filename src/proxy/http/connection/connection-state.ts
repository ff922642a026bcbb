/**
 * The life of a client's HTTP connection, in order.
 *
 * ```
 *               ┌──────────── kept alive ────────────┐
 *               ▼                                    │
 *   greeting ──▶ reading ──── a head is whole ──▶ exchanging ──▶ tunnelling
 *      │           │  │ the head is refused          │               │
 *      │           │  └──────────▶ lingering ◀───────┤ more may come │
 *      └───────────┴──────────────────┴──────────────┴───────────────┴──▶ closed
 *                      the client's end, a reset, a timeout, the last answer
 * ```
 */
export const ConnectionState = {
  /** What comes before HTTP: a PROXY header, a TLS handshake; passed at once where there is neither. */
  greeting: 0,
  /** Nothing is under way: a head is awaited, or a part of it is there. */
  reading: 1,
  /** A request is answered; later ones wait. */
  exchanging: 2,
  /** After 101 or CONNECT: bytes go both ways, and nobody looks at them. */
  tunnelling: 3,
  /**
   * The last answer has gone out and nothing more will, but the client may still be sending: closing now
   * would answer that with a reset, which can overtake the answer (RFC 9112 §9.6).
   */
  lingering: 4,
  closed: 5,
} as const;
export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];

const { greeting, reading, exchanging, tunnelling, lingering, closed } = ConnectionState;

/** States that may follow each state. */
export const connectionSuccessors: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  [greeting]: [reading, closed],
  [reading]: [exchanging, lingering, closed],
  [exchanging]: [reading, tunnelling, lingering, closed],
  [tunnelling]: [closed],
  [lingering]: [closed],
  [closed]: [],
};

/** The same, a bit for each successor. */
export const connectionSuccessorBits: readonly number[] = Object.values(connectionSuccessors).map(
  (states) => states.reduce<number>((bits, state) => bits | (1 << state), 0),
);
