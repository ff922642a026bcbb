/** How a turn of a relay ended. */
export const RelayResult = {
  /** Nothing more can move until an event says so. */
  Waiting: 0,
  /** The turn's budget is used up: run again next turn, unasked. */
  Yielded: 1,
  /** The body is over, and every byte has been handed to the sink. */
  Ended: 2,
  /** The source broke, or ended before the body did. */
  SourceFailed: 3,
  /** The sink broke. */
  SinkFailed: 4,
  /** The chunks are none; `BodyRelay.rejection` says why. */
  Malformed: 5,
} as const;
export type RelayResult = (typeof RelayResult)[keyof typeof RelayResult];
