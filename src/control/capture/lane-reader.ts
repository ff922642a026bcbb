import {
  ENTRIES,
  ENTRY_SLOTS,
  EntryKind,
  LANE_BYTES,
  LANE_PIPES,
  LaneMap,
  LaneSlot,
  PIPE_CAPACITY,
  PIPE_CONSUMED,
  PIPE_READ_END,
  PIPE_WRITE_END,
  pipeSlot,
} from '../../proxy/index.js';
import { type Kernel, NativeMemory, Pipe } from '../../splice/index.js';

/** What a lane tells, entry by entry. Bytes are at an address, or the first of a pipe. */
export interface LaneListener {
  begin(slot: number, sequence: number, store: number, note: string, timeMs: number): void;
  copied(slot: number, direction: number, address: number, length: number, timeMs: number): void;
  spliced(slot: number, direction: number, pipe: Pipe, length: number, timeMs: number): void;
  /** Takes bytes out of a pipe. @returns false when they are not there */
  discard(pipe: Pipe, length: number): boolean;
  end(slot: number, end: LaneEnd): void;
  /** Dealing with an entry of that slot failed: a bug. */
  onException(slot: number, error: unknown): void;
}

export interface LaneEnd {
  /** Positions among `incompleteReasons` and `closeReasons`. */
  readonly incomplete: number;
  readonly close: number;
  readonly clientBytes: number;
  readonly upstreamBytes: number;
  readonly timeMs: number;
}

/**
 * The capture thread's end of a lane. What was dealt with is noted in the shared memory after each entry, so that
 * another thread could go on here.
 */
export class LaneReader {
  /** The pipes do not have what the entries say: nothing in them can be told apart any more. */
  isBroken = false;
  private readonly map: LaneMap;
  private readonly address: number;
  private readonly pipes: Pipe[] = [];

  /** @param memory made by `LaneMap.createMemory`; its pipes are open */
  constructor(
    kernel: Kernel,
    memory: SharedArrayBuffer,
    private readonly listener: LaneListener,
  ) {
    this.map = new LaneMap(memory);
    this.address = new NativeMemory(LANE_BYTES, memory, this.map.bytes.byteOffset).address;
    const { head } = this.map;
    for (let pipe = 0; pipe < LANE_PIPES; pipe++) {
      const capacity = head[pipeSlot(pipe, PIPE_CAPACITY)]!;
      if (capacity === 0) break;
      const readEnd = head[pipeSlot(pipe, PIPE_READ_END)]!;
      this.pipes.push(new Pipe(kernel, readEnd, head[pipeSlot(pipe, PIPE_WRITE_END)]!, capacity));
    }
  }

  get isEmpty(): boolean {
    return this.map.waiting === 0;
  }

  /** Deals with up to `most` entries. @returns how many */
  take(most: number): number {
    const { head } = this.map;
    const waiting = Math.min(this.map.waiting, most);
    let position = Atomics.load(head, LaneSlot.Head);
    for (let count = 0; count < waiting; count++) {
      const at = (position & (ENTRIES - 1)) * ENTRY_SLOTS;
      try {
        this.dealWith(at);
      } catch (error) {
        this.listener.onException(this.map.entries[at + 1]!, error);
      }
      position = (position + 1) | 0;
      Atomics.store(head, LaneSlot.Head, position);
    }
    return waiting;
  }

  /** The flow's files cannot be written: its worker need not go on. */
  fail(slot: number, sequence: number): void {
    Atomics.store(this.map.head, LaneSlot.Failed + slot, sequence | 0);
  }

  private dealWith(at: number): void {
    const { entries } = this.map;
    const slot = entries[at + 1]!;
    switch (entries[at]) {
      case EntryKind.Begin:
        this.begin(at, slot);
        return;
      case EntryKind.Bytes:
        if (entries[at + 4]! < 0) this.copied(at, slot);
        else this.spliced(at, slot);
        return;
      case EntryKind.Discard:
        this.skip(at, entries[at + 4]!);
        return;
      case EntryKind.End:
        this.listener.end(slot, {
          incomplete: entries[at + 3]!,
          close: entries[at + 4]!,
          clientBytes: entries[at + 5]!,
          upstreamBytes: entries[at + 6]!,
          timeMs: entries[at + 7]!,
        });
    }
  }

  private begin(at: number, slot: number): void {
    const { entries, bytes } = this.map;
    const [sequence, store] = [entries[at + 2]!, entries[at + 3]!];
    const [position, length] = [entries[at + 5]!, entries[at + 6]!];
    const start = position & (LANE_BYTES - 1);
    const note = bytes.toString('utf8', start, start + length);
    this.release(position, length);
    this.listener.begin(slot, sequence, store, note, entries[at + 7]!);
  }

  private copied(at: number, slot: number): void {
    const { entries } = this.map;
    const [direction, position] = [entries[at + 3]!, entries[at + 5]!];
    const [length, timeMs] = [entries[at + 6]!, entries[at + 7]!];
    const address = this.address + (position & (LANE_BYTES - 1));
    try {
      this.listener.copied(slot, direction, address, length, timeMs);
    } finally {
      this.release(position, length);
    }
  }

  private spliced(at: number, slot: number): void {
    const { entries } = this.map;
    const [direction, which] = [entries[at + 3]!, entries[at + 4]!];
    const [length, timeMs] = [entries[at + 6]!, entries[at + 7]!];
    const pipe = this.pipes[which]!;
    pipe.bytes = this.remaining(at, which);
    try {
      // After a death a part of it may be gone.
      if (pipe.bytes === length) this.listener.spliced(slot, direction, pipe, length, timeMs);
    } finally {
      if (pipe.bytes > 0) this.drop(pipe, pipe.bytes);
      this.consumed(at, which);
    }
  }

  private skip(at: number, which: number): void {
    const pipe = this.pipes[which]!;
    pipe.bytes = this.remaining(at, which);
    if (pipe.bytes > 0) this.drop(pipe, pipe.bytes);
    this.consumed(at, which);
  }

  private drop(pipe: Pipe, length: number): void {
    if (!this.listener.discard(pipe, length)) this.isBroken = true;
  }

  /** Bytes of the entry that are still in the pipe: all of them, but after a death. */
  private remaining(at: number, which: number): number {
    const { entries, head } = this.map;
    const end = (entries[at + 5]! + entries[at + 6]!) | 0;
    return (end - head[pipeSlot(which, PIPE_CONSUMED)]!) | 0;
  }

  private consumed(at: number, which: number): void {
    const { entries, head } = this.map;
    const end = (entries[at + 5]! + entries[at + 6]!) | 0;
    Atomics.store(head, pipeSlot(which, PIPE_CONSUMED), end);
  }

  private release(position: number, length: number): void {
    Atomics.store(this.map.head, LaneSlot.BytesHead, (position + length) | 0);
  }
}
