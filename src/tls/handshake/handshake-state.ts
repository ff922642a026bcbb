/**
 * The states of a handshake.
 *
 * ```
 *   server ──▶ expecting ──▶ shaking ──▶ done ──▶ over
 *                  │           ▲  │       the transport has the connection
 *   client ────────┼───────────┘  │
 *                  └──────────────┴────▶ over
 *                   not TLS, no agreement, an alert, too late
 * ```
 */
export const HandshakeState = {
  /** A client has connected and not said anything; OpenSSL knows nothing of it. */
  expecting: 0,
  /** OpenSSL has the connection and needs to read or to write more. */
  shaking: 1,
  /** All is agreed on; the connection waits to be taken over. */
  done: 2,
  /** Failed, taken over or given up: nothing of OpenSSL's is left here. */
  over: 3,
} as const;
export type HandshakeState = (typeof HandshakeState)[keyof typeof HandshakeState];

/** What `Handshake.advance` answers. */
export const HandshakeResult = {
  /** An event will say when to go on. */
  Waiting: 0,
  /** `session` says what was agreed on; `Handshake.takeOver` has the transport. */
  Done: 1,
  /** `failure` says why. The other side has been told; the socket is to be closed in good order. */
  Failed: 2,
} as const;
export type HandshakeResult = (typeof HandshakeResult)[keyof typeof HandshakeResult];
