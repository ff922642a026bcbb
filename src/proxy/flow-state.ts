/**
 * The life of a flow, in order.
 *
 * ```
 *   accepted ──▶ connecting ──▶ tunnelling ──▶ halfClosed ──▶ closing ──▶ closed
 *      │ ▲           │ │            │              │             ▲
 *      │ └───────────┘ │            │              │             │
 *      │  no luck: try │            │              │             │
 *      │  again        │            │              │             │
 *      └───────────────┴────────────┴──────────────┴─────────────┘
 *            error, reset, timeout, both directions ended
 * ```
 */
export const FlowState = {
  /** The client is connected; there is no connection to an upstream, or not yet another one. */
  accepted: 0,
  /** connect(2) is under way; nothing has been read from the client. */
  connecting: 1,
  /** Bytes move both ways. */
  tunnelling: 2,
  /** One direction has ended and its FIN was passed on; the other goes on as long as it likes. */
  halfClosed: 3,
  /** Sockets, pipes and buffers are being given back; nothing can stop it. */
  closing: 4,
  /** Nothing is left but the object. */
  closed: 5,
} as const;
export type FlowState = (typeof FlowState)[keyof typeof FlowState];

/** States that may follow each state. */
export const successors: Readonly<Record<FlowState, readonly FlowState[]>> = {
  [FlowState.accepted]: [FlowState.connecting, FlowState.closing],
  [FlowState.connecting]: [FlowState.accepted, FlowState.tunnelling, FlowState.closing],
  [FlowState.tunnelling]: [FlowState.halfClosed, FlowState.closing],
  [FlowState.halfClosed]: [FlowState.closing],
  [FlowState.closing]: [FlowState.closed],
  [FlowState.closed]: [],
};
