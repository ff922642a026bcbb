/** Slots of a {@link PumpMeter}. Pumps add to them; whoever made the array reads it. */
export const PumpSlot = {
  CopyBytes: 0,
  CopyOperations: 1,
  SpliceBytes: 2,
  SpliceOperations: 3,
  /** The source had nothing: EAGAIN on its side. */
  SourceBlocked: 4,
  /** The sink took nothing: EAGAIN on its side. */
  SinkBlocked: 5,
  /** Splicing was wanted and no pipe was to be had: bytes were copied instead. */
  NoPipe: 6,
  /** The source or the sink refused to splice: the pump copies for the rest of its life. */
  Refused: 7,
  /** Sent from the page cache, by who sends files: a pump never does. */
  SendfileBytes: 8,
  SendfileOperations: 9,
} as const;

/** One number for each {@link PumpSlot}; shared memory, where another thread reads along. */
export type PumpMeter = Float64Array;
/** How many numbers a {@link PumpMeter} has. */
export const PUMP_SLOTS = 10;
