/**
 * What is known about a name, in the order of its life.
 *
 * ```
 *   unknown ──answer──▶ fresh ──failure──▶ stale
 *      │                 ▲ ▲                │
 *   failure              │ └─────answer─────┘
 *      └───▶ absent ─────┘
 *               answer
 *                                any ──stop──▶ stopped
 * ```
 *
 * An empty answer is a failure: between "all endpoints are gone" and "the zone is broken", the second is likelier.
 */
export const NameState = {
  /** The first lookup is not over. */
  unknown: 'unknown',
  /** The last lookup answered. */
  fresh: 'fresh',
  /** The last lookup failed; the last good answer is kept, for as long as it takes. */
  stale: 'stale',
  /** No lookup has answered so far: there are no endpoints. */
  absent: 'absent',
  /** Nobody watches any more. */
  stopped: 'stopped',
} as const;
export type NameState = (typeof NameState)[keyof typeof NameState];

/** States that may follow each state. */
export const nameSuccessors: Readonly<Record<NameState, readonly NameState[]>> = {
  unknown: ['fresh', 'absent', 'stopped'],
  fresh: ['stale', 'stopped'],
  stale: ['fresh', 'stopped'],
  absent: ['fresh', 'stopped'],
  stopped: [],
};
