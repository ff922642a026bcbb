/**
 * What the checks say about an endpoint.
 *
 * ```
 *               rise passes                fall failures
 *   unknown ───────────────────▶ up ◀──────────────────────▶ down
 *      │                            rise passes               ▲
 *      └──────────────────────────────────────────────────────┘
 *               fall failures                 any ──stop──▶ stopped
 * ```
 *
 * A verdict that agrees with the state sets the count of those that do not back to zero.
 */
export const HealthState = {
  /** Too few checks so far; until then an endpoint is used as if it were up. */
  unknown: 'unknown',
  up: 'up',
  down: 'down',
  /** It is no longer checked. */
  stopped: 'stopped',
} as const;
export type HealthState = (typeof HealthState)[keyof typeof HealthState];

/** States that may follow each state. */
export const healthSuccessors: Readonly<Record<HealthState, readonly HealthState[]>> = {
  unknown: ['up', 'down', 'stopped'],
  up: ['down', 'stopped'],
  down: ['up', 'stopped'],
  stopped: [],
};
