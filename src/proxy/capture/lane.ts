import {
  copyMemory,
  type Kernel,
  NativeMemory,
  Outcome,
  Pipe,
  spliceFromFile,
  teePipe,
} from '../../splice/index.js';
import {
  CAPTURES_MAX,
  type CaptureLaneMemory,
  ENTRIES,
  ENTRY_SLOTS,
  EntryKind,
  LANE_BYTES,
  LANE_PIPES,
  LaneMap,
  LaneSlot,
  LaneState,
  PIPE_CAPACITY,
  PIPE_CONSUMED,
  PIPE_READ_END,
  PIPE_WRITE_END,
  pipeSlot,
} from './lane-map.js';
import { RecorderBell } from './recorder-bell.js';

/** From so much on the capture thread is called at once. */
const PRESSING_ENTRIES = ENTRIES / 8;
const PRESSING_BYTES = LANE_BYTES / 8;
/** What one call may append besides ends: two pieces, or what was duplicated in vain and again. */
const ENTRIES_A_CALL = 3;

/** What became of bytes that a lane was offered. */
export const Taken = {
  All: 0,
  /** There is no room for all of them: the capture thread does not keep up. */
  NoRoom: 1,
  /** The kernel does not duplicate them. */
  Refused: 2,
} as const;
export type Taken = (typeof Taken)[keyof typeof Taken];

/**
 * A worker's way to the capture thread. Every call returns at once, whatever the other end does: it takes the
 * bytes, all of them, or says that it cannot.
 *
 * The pipes are the control thread's, which opens and closes them; a worker uses their numbers for as long as it
 * lives, and the control thread closes them only when the worker is gone and what it left has been taken.
 */
export class CaptureLane {
  /** Most bytes that were waiting in the lane at one time, those in pipes apart. */
  bytesWaitingMax = 0;
  private readonly map: LaneMap;
  private readonly bell: RecorderBell;
  private readonly address: number;
  private readonly freeSlots: number[] = [];
  private slotsUsed = 0;
  /** Flows that have begun and not ended: for the end of each there is an entry left. */
  private openFlows = 0;
  private tail = 0;
  private bytesTail = 0;
  private readonly pipes: Pipe[] = [];
  /** Bytes put into each pipe so far. */
  private readonly produced = new Int32Array(LANE_PIPES);
  private current = 0;

  /** @param memory fresh: of no worker before this one */
  constructor(
    private readonly kernel: Kernel,
    memory: CaptureLaneMemory,
  ) {
    this.map = new LaneMap(memory.lane);
    this.bell = new RecorderBell(memory.bell);
    this.address = new NativeMemory(LANE_BYTES, memory.lane, this.map.bytes.byteOffset).address;
  }

  /** Somebody takes what is captured. */
  get isOpen(): boolean {
    return Atomics.load(this.map.head, LaneSlot.State) === LaneState.Open;
  }

  /**
   * A flow's capture begins.
   *
   * @param sequence the flow's number in its worker
   * @param note what its record says of it, JSON
   * @returns its slot, to be given back by {@link end}; −1 when there is no room
   */
  begin(sequence: number, store: number, note: string, timeMs: number): number {
    const length = Buffer.byteLength(note);
    const slot = this.freeSlots.pop() ?? (this.slotsUsed < CAPTURES_MAX ? this.slotsUsed++ : -1);
    if (slot < 0) return -1;
    const position = this.contiguous(length);
    // One more entry, for the end that this flow will have.
    if (position < 0 || !this.hasRoom(ENTRIES_A_CALL + 1)) {
      this.freeSlots.push(slot);
      return -1;
    }
    this.map.bytes.write(note, position & (LANE_BYTES - 1));
    this.bytesTail = (position + length) | 0;
    this.openFlows++;
    this.append(EntryKind.Begin, slot, sequence, store, 0, position, length, timeMs);
    this.bell.ring(false);
    return slot;
  }

  /** The capture thread could not write the flow's files: nothing more is wanted of it. */
  hasFailed(slot: number, sequence: number): boolean {
    return Atomics.load(this.map.head, LaneSlot.Failed + slot) === (sequence | 0);
  }

  /** Takes bytes from memory. */
  copied(
    slot: number,
    sequence: number,
    direction: number,
    address: number,
    length: number,
    timeMs: number,
  ): Taken {
    const used = (this.bytesTail - Atomics.load(this.map.head, LaneSlot.BytesHead)) | 0;
    if (used + length > LANE_BYTES || !this.hasRoom(ENTRIES_A_CALL)) return Taken.NoRoom;
    for (let done = 0; done < length; ) {
      const offset = this.bytesTail & (LANE_BYTES - 1);
      const piece = Math.min(length - done, LANE_BYTES - offset);
      copyMemory(this.address + offset, address + done, piece);
      this.append(EntryKind.Bytes, slot, sequence, direction, -1, this.bytesTail, piece, timeMs);
      this.bytesTail = (this.bytesTail + piece) | 0;
      done += piece;
    }
    this.bytesWaitingMax = Math.max(this.bytesWaitingMax, used + length);
    this.bell.ring(used + length > PRESSING_BYTES || this.map.waiting > PRESSING_ENTRIES);
    return Taken.All;
  }

  /** Duplicates the first bytes of a pipe, which keeps them. */
  spliced(
    slot: number,
    sequence: number,
    direction: number,
    from: Pipe,
    length: number,
    timeMs: number,
  ): Taken {
    if (!this.hasRoom(ENTRIES_A_CALL) || !this.hasPipes()) return Taken.NoRoom;
    let got = this.tee(from, length);
    if (got < 0) return Taken.Refused;
    if (got < length) {
      this.discard(got);
      // tee(2) begins at the first byte each time: the rest alone cannot be had. An empty pipe has room for all
      // that another of its size holds.
      if (!this.turnToEmpty()) return Taken.NoRoom;
      got = this.tee(from, length);
      if (got < 0) return Taken.Refused;
      if (got < length) {
        this.discard(got);
        return Taken.NoRoom;
      }
    }
    this.appendPiped(slot, sequence, direction, length, timeMs);
    return Taken.All;
  }

  /** Takes a part of a file, by reference to the page cache. It has been sent, so no disk is waited for. */
  sent(
    slot: number,
    sequence: number,
    direction: number,
    file: number,
    offset: number,
    length: number,
    timeMs: number,
  ): Taken {
    if (!this.hasPipes()) return Taken.NoRoom;
    for (let done = 0; done < length; ) {
      if (!this.hasRoom(ENTRIES_A_CALL)) return Taken.NoRoom;
      const pipe = this.pipes[this.current]!;
      const got = spliceFromFile(this.kernel, file, offset + done, pipe, length - done);
      if (got > 0) {
        this.appendPiped(slot, sequence, direction, got, timeMs);
        done += got;
      } else if (got !== Outcome.Blocked) {
        return Taken.Refused;
      } else if (!this.turnToEmpty()) {
        return Taken.NoRoom;
      }
    }
    return Taken.All;
  }

  /** A flow that has begun ends. There is always room for that. */
  end(
    slot: number,
    sequence: number,
    incomplete: number,
    close: number,
    clientBytes: number,
    upstreamBytes: number,
    timeMs: number,
  ): void {
    this.openFlows--;
    this.freeSlots.push(slot);
    const { End } = EntryKind;
    this.append(End, slot, sequence, incomplete, close, clientBytes, upstreamBytes, timeMs);
    this.bell.ring(false);
  }

  /** Bytes are in the present pipe: says whose. */
  private appendPiped(
    slot: number,
    sequence: number,
    direction: number,
    length: number,
    timeMs: number,
  ): void {
    const { current } = this;
    const position = this.produced[current]!;
    this.produced[current] = position + length;
    this.append(EntryKind.Bytes, slot, sequence, direction, current, position, length, timeMs);
    this.bell.ring(this.waitingIn(current) * 4 > this.pipes[current]!.capacityBytes);
  }

  /** @returns bytes duplicated; 0 for none now; negative where the kernel refuses */
  private tee(from: Pipe, length: number): number {
    const got = teePipe(this.kernel, from, this.pipes[this.current]!, length);
    return got === Outcome.Blocked ? 0 : got;
  }

  private discard(length: number): void {
    if (length <= 0) return;
    const { current } = this;
    const position = this.produced[current]!;
    this.produced[current] = position + length;
    this.append(EntryKind.Discard, 0, 0, 0, current, position, length, 0);
  }

  private turnToEmpty(): boolean {
    for (let step = 1; step < this.pipes.length; step++) {
      const pipe = (this.current + step) % this.pipes.length;
      if (this.waitingIn(pipe) !== 0) continue;
      this.current = pipe;
      return true;
    }
    return this.waitingIn(this.current) === 0;
  }

  /** Bytes in a pipe that the capture thread has not taken. */
  private waitingIn(pipe: number): number {
    const consumed = Atomics.load(this.map.head, pipeSlot(pipe, PIPE_CONSUMED));
    return (this.produced[pipe]! - consumed) | 0;
  }

  /** Their numbers are there before the lane is open. */
  private hasPipes(): boolean {
    const { head } = this.map;
    for (let pipe = this.pipes.length; pipe < LANE_PIPES; pipe++) {
      const capacity = head[pipeSlot(pipe, PIPE_CAPACITY)]!;
      if (capacity === 0) break;
      const readEnd = head[pipeSlot(pipe, PIPE_READ_END)]!;
      const writeEnd = head[pipeSlot(pipe, PIPE_WRITE_END)]!;
      this.pipes.push(new Pipe(this.kernel, readEnd, writeEnd, capacity));
    }
    return this.pipes.length > 0;
  }

  /** Room for `count` more entries, and the end of every flow. */
  private hasRoom(count: number): boolean {
    return ENTRIES - this.map.waiting >= this.openFlows + count;
  }

  /** @returns the position of `length` bytes in one piece, or −1 */
  private contiguous(length: number): number {
    const { bytesTail } = this;
    const left = LANE_BYTES - (bytesTail & (LANE_BYTES - 1));
    const position = length <= left ? bytesTail : (bytesTail + left) | 0;
    const used = (position - Atomics.load(this.map.head, LaneSlot.BytesHead)) | 0;
    return used + length > LANE_BYTES ? -1 : position;
  }

  private append(
    kind: number,
    first: number,
    second: number,
    third: number,
    fourth: number,
    fifth: number,
    sixth: number,
    seventh: number,
  ): void {
    const { entries, head } = this.map;
    const at = (this.tail & (ENTRIES - 1)) * ENTRY_SLOTS;
    entries[at] = kind;
    entries[at + 1] = first;
    entries[at + 2] = second;
    entries[at + 3] = third;
    entries[at + 4] = fourth;
    entries[at + 5] = fifth;
    entries[at + 6] = sixth;
    entries[at + 7] = seventh;
    this.tail = (this.tail + 1) | 0;
    Atomics.store(head, LaneSlot.Tail, this.tail);
  }
}
