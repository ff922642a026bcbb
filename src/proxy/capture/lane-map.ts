/**
 * The memory that one worker shares with the capture thread, named once for both. The worker is the only one
 * that appends entries, the capture thread the only one that takes them. All counts are 32-bit and wrap around;
 * their differences stay small.
 *
 * ```
 *   worker ── entry ──▶ [ entries: what, whose, where the bytes are, when ] ──▶ capture thread
 *          ── copy ───▶ [ bytes: what was read or written in userland     ] ──▶    └─▶ files
 *          ── tee ────▶ ( pipes: what was spliced                         ) ──▶
 * ```
 *
 * Entries say the order of everything. Bytes and pipes are queues in that same order, so no entry needs a place
 * of its own in them, and a pipe need not belong to a flow: a handful serve all flows of a worker.
 */

/** What an entry is about, its first number. */
export const EntryKind = {
  /** A flow begins: slot, sequence, store, –, position, length of its note in the bytes, time. */
  Begin: 1,
  /** Bytes of a flow: slot, sequence, direction, pipe or −1, position, length, time. */
  Bytes: 2,
  /** Bytes in a pipe that nobody wants: –, –, –, pipe, position, length. */
  Discard: 3,
  /** A flow has ended: slot, sequence, why incomplete, close reason, bytes up, bytes down, time. */
  End: 4,
} as const;

/** The numbers of an entry. */
export const ENTRY_SLOTS = 8;
/** A power of two, so that counts may wrap around. */
export const ENTRIES = 32_768;
export const LANE_BYTES = 4 * 1024 * 1024;
/** Flows of one worker that may be captured at a time. */
export const CAPTURES_MAX = 2048;
/** Pipes of a worker's lane: what bulk transfers may be ahead of the disk, at 1 MiB each. */
export const LANE_PIPES = 8;

export const LaneState = {
  /** Nothing is captured. */
  Closed: 0,
  Open: 1,
} as const;

/** Places of the head of the memory, 32-bit numbers. */
export const LaneSlot = {
  State: 0,
  /** Entries appended so far. */
  Tail: 1,
  /** Entries dealt with so far. */
  Head: 2,
  /** Bytes dealt with so far. */
  BytesHead: 3,
  /** Of each pipe: read end, write end, capacity, bytes taken out so far. */
  Pipes: 4,
  /** Of each slot: the low bits of the flow whose capture has failed on the disk. */
  Failed: 4 + LANE_PIPES * 4,
} as const;

export const PIPE_READ_END = 0;
export const PIPE_WRITE_END = 1;
export const PIPE_CAPACITY = 2;
export const PIPE_CONSUMED = 3;

const HEAD_BYTES = (LaneSlot.Failed + CAPTURES_MAX) * Int32Array.BYTES_PER_ELEMENT;
const ENTRIES_AT = Math.ceil(HEAD_BYTES / 64) * 64;
const BYTES_AT = ENTRIES_AT + ENTRIES * ENTRY_SLOTS * Float64Array.BYTES_PER_ELEMENT;

/** What a worker is given to capture with. */
export interface CaptureLaneMemory {
  readonly lane: SharedArrayBuffer;
  /** Wakes the capture thread; one for all lanes. */
  readonly bell: SharedArrayBuffer;
}

/** The parts of a lane's memory. */
export class LaneMap {
  readonly head: Int32Array;
  readonly entries: Float64Array;
  readonly bytes: Buffer;

  /** @param memory made by {@link createMemory} */
  constructor(memory: SharedArrayBuffer) {
    this.head = new Int32Array(memory, 0, LaneSlot.Failed + CAPTURES_MAX);
    this.entries = new Float64Array(memory, ENTRIES_AT, ENTRIES * ENTRY_SLOTS);
    this.bytes = Buffer.from(memory, BYTES_AT, LANE_BYTES);
  }

  /** Zero at first, and no memory of the machine before it is used. */
  static createMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(BYTES_AT + LANE_BYTES);
  }

  /** Entries nobody has dealt with. */
  get waiting(): number {
    const { head } = this;
    return (Atomics.load(head, LaneSlot.Tail) - Atomics.load(head, LaneSlot.Head)) | 0;
  }
}

/** Where a number of a pipe is. */
export function pipeSlot(pipe: number, which: number): number {
  return LaneSlot.Pipes + pipe * 4 + which;
}
