/** How a turn of a pump ended. */
export const PumpResult = {
  /** Nothing more can move until an event says so. */
  Waiting: 0,
  /** The turn's budget is used up, or the source may have more: run again next turn, unasked. */
  Yielded: 1,
  /** End of stream, or the limit; every byte has been handed to the sink. */
  Ended: 2,
  /** The source broke; what it had sent before has been handed to the sink. */
  SourceFailed: 3,
  /** The sink broke; bytes that had been read for it are lost, as they would be without a proxy. */
  SinkFailed: 4,
} as const;

export type PumpResult = (typeof PumpResult)[keyof typeof PumpResult];
