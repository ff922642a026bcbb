/**
 * What the active check says of an endpoint; written by the control thread.
 *
 * ```
 *   unchecked ──▶ up ◀──▶ down
 *       └──────────────────▲
 * ```
 */
export const Health = {
  /** Nobody checks it, or no check has come to a verdict: as good as up. */
  unchecked: 0,
  /** It answered as it should. */
  up: 1,
  /** It did not. */
  down: 2,
} as const;
export type Health = (typeof Health)[keyof typeof Health];

/**
 * Whether an endpoint is used, and if not, who says so. Three parties judge it, each in a word of
 * its own that nobody else writes, and the first that objects decides. So an endpoint that was
 * ejected while an operator drained it is still ejected when it is made ready again.
 *
 * ```
 *   operator (control thread)     ready ◀──▶ draining
 *   active check (control)        unchecked, up ◀──▶ down
 *   traffic (workers)             trusted ──failures in a row──▶ ejected ──time──▶ trusted
 * ```
 */
export const EndpointState = {
  /** Used, though no check has said so. */
  unchecked: 0,
  /** Used. */
  up: 1,
  /** Out of use because connecting failed too often; comes back by itself when its time is up. */
  ejected: 2,
  /** Out of use because the active check failed. */
  down: 3,
  /** No new connections: an operator wants it empty. The panic threshold does not overrule this. */
  draining: 4,
} as const;
export type EndpointState = (typeof EndpointState)[keyof typeof EndpointState];

/** Names by state, for metrics and the admin endpoint. */
export const endpointStateNames = Object.keys(
  EndpointState,
) as readonly (keyof typeof EndpointState)[];
