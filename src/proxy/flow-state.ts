/**
 * The life of a flow, in order.
 *
 * ```
 *                    queued
 *                     │ ▲  every endpoint is full
 *                     ▼ │
 *   readingHead ◀─▶ accepted ──▶ connecting ──▶ tunnelling ──▶ halfClosed ──▶ closing ──▶ closed
 *         │           │ ▲           │ │            │              │             ▲
 *         │           │ └───────────┘ │            │              │             │
 *         │           │  no luck: try │            │              │             │
 *         │           │  again        │            │              │             │
 *         └───────────┴───────────────┴────────────┴──────────────┴─────────────┘
 *                           error, reset, timeout, both directions ended
 * ```
 */
export const FlowState = {
  /** The client is connected; there is no connection to an upstream, or not yet another one. */
  accepted: 0,
  /** A PROXY header or a ClientHello has to come first; only where the listener needs one. */
  readingHead: 1,
  /** Every endpoint has as many connections as it may: the flow waits for a place. */
  queued: 2,
  /** connect(2) is under way; nothing but a head has been read from the client. */
  connecting: 3,
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
    FlowState.queued,
    FlowState.connecting,
    FlowState.closing,
  ],
  [FlowState.readingHead]: [FlowState.accepted, FlowState.closing],
  [FlowState.queued]: [FlowState.accepted, FlowState.closing],
  [FlowState.connecting]: [FlowState.accepted, FlowState.tunnelling, FlowState.closing],
  [FlowState.tunnelling]: [FlowState.halfClosed, FlowState.closing],
  [FlowState.halfClosed]: [FlowState.closing],
  [FlowState.closing]: [FlowState.closed],
  [FlowState.closed]: [],
};

/** The same, a bit for each successor: every flow changes its state five times. */
export const successorBits: readonly number[] = Object.values(successors).map((states) =>
  states.reduce<number>((bits, state) => bits | (1 << state), 0),
);
