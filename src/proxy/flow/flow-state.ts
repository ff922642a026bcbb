/**
 * The life of a flow, in order.
 *
 * ```
 *   accepted ◀─▶ readingHead
 *      │  ▲           │
 *      │  └──▶ securing
 *      ▼              │
 *   dialling ──▶ tunnelling ──▶ halfClosed
 *      │              │             │
 *      └──────────────┴─────────────┴────▶ closing ──▶ closed
 *        error, reset, timeout, both directions ended
 * ```
 *
 * How far a dialling flow has come is its dial's own affair: see `DialState`.
 */
export const FlowState = {
  /** The client is connected, and it is not known yet where the flow goes. */
  accepted: 0,
  /** A PROXY header or a ClientHello has to come first; only where the listener needs one. */
  readingHead: 1,
  /** The TLS handshake with the client goes on; only where the listener terminates TLS. */
  securing: 2,
  /** A connection to the upstream is being made; nothing but a head has been read from the client. */
  dialling: 3,
  /** Bytes move both ways. */
  tunnelling: 4,
  /** One direction has ended and its FIN was passed on; the other goes on as long as it likes. */
  halfClosed: 5,
  /** Sockets, pipes and buffers are being given back; nothing can stop it. */
  closing: 6,
  /** Nothing is left but the object. */
  closed: 7,
} as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

/** States that may follow each state. */
export const successors: Readonly<Record<FlowState, readonly FlowState[]>> = {
  [FlowState.accepted]: [
    FlowState.readingHead,
    FlowState.securing,
    FlowState.dialling,
    FlowState.closing,
  ],
  [FlowState.readingHead]: [FlowState.accepted, FlowState.closing],
  [FlowState.securing]: [FlowState.accepted, FlowState.closing],
  [FlowState.dialling]: [FlowState.tunnelling, FlowState.closing],
  [FlowState.tunnelling]: [FlowState.halfClosed, FlowState.closing],
  [FlowState.halfClosed]: [FlowState.closing],
  [FlowState.closing]: [FlowState.closed],
  [FlowState.closed]: [],
};

/** The same, a bit for each successor: every flow changes its state several times. */
export const successorBits: readonly number[] = Object.values(successors).map((states) =>
  states.reduce<number>((bits, state) => bits | (1 << state), 0),
);
