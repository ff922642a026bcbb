import { incompleteReasons } from '../../proxy/index.js';

/** What the capture thread counts, in memory it shares with the control thread; it is the only writer. */
export const RecorderSlot = {
  Complete: 0,
  /** One for each of `incompleteReasons`, of which the first is none. */
  Incomplete: 1,
  DiskBytes: 1 + incompleteReasons.length,
  Deleted: 2 + incompleteReasons.length,
  /** What all directories hold. */
  StoredBytes: 3 + incompleteReasons.length,
  StoredFlows: 4 + incompleteReasons.length,
} as const;

const SLOTS = 5 + incompleteReasons.length;

export type RecorderCounters = Float64Array;

export function createRecorderCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS * Float64Array.BYTES_PER_ELEMENT);
}
