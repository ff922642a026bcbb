/**
 * The life of an exchange, a request and its response, in order.
 *
 * ```
 *                      reused connection was dead, or another endpoint is tried
 *                     ┌─────────────────────────┐
 *                     ▼                         │
 *   idle ──▶ dialling ──▶ awaiting ──▶ responding ──▶ idle
 *    │          │            │  │                     ▲ ▲
 *    │          ▼            ▼  └──▶ switching ──▶ (a tunnel takes over)
 *    └──────▶ answering ◀────┘                         │
 *                 └────────────────────────────────────┘
 * ```
 *
 * The request's body is on its way while the exchange is awaiting or responding, whichever it takes: an
 * answer may come early.
 */
export const ExchangeState = {
  /** It belongs to nobody. */
  idle: 0,
  /** The request's head is read; a connection to an endpoint is chosen, waited for or made. */
  dialling: 1,
  /** The request goes out, and no final response has come. */
  awaiting: 2,
  /** The response's head has gone to the client, and its body goes, or the rest of a request whose answer came early. */
  responding: 3,
  /** An answer of our own goes to the client; there is no upstream, or none any more. */
  answering: 4,
  /** The upstream has switched protocols, or is what a CONNECT has asked for; what was read already goes out before the tunnel opens. */
  switching: 5,
} as const;
export type ExchangeState = (typeof ExchangeState)[keyof typeof ExchangeState];

const { idle, dialling, awaiting, responding, answering, switching } = ExchangeState;

/** States that may follow each state. */
export const exchangeSuccessors: Readonly<Record<ExchangeState, readonly ExchangeState[]>> = {
  [idle]: [dialling, answering],
  [dialling]: [awaiting, switching, answering, idle],
  [awaiting]: [dialling, responding, switching, answering, idle],
  [responding]: [idle],
  [answering]: [idle],
  [switching]: [idle],
};

/** The same, a bit for each successor. */
export const exchangeSuccessorBits: readonly number[] = Object.values(exchangeSuccessors).map(
  (states) => states.reduce<number>((bits, state) => bits | (1 << state), 0),
);
