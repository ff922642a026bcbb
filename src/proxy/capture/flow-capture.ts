import type { Pipe } from '../../splice/index.js';
import { type CloseReason, Counter, type Counters, closeReasons } from '../counters.js';
import { processMs } from '../upstream/index.js';
import { type CaptureNote, noteText } from './capture-note.js';
import {
  type CaptureSnapshot,
  CLIENT,
  Incomplete,
  type IncompleteReason,
  incompleteReasons,
} from './capture-terms.js';
import { type CaptureLane, Taken } from './lane.js';

/** What a capture asks of its worker. */
export interface CaptureRoom {
  readonly captures: CaptureLane | undefined;
  readonly counters: Counters;
  readonly clock: { readonly nowMs: number };
}

/**
 * The capture of one flow: everything that passes is shown to it, in order, and goes to the lane until the flow
 * ends or something is in the way.
 *
 * ```
 *   capturing ──max_bytes, no room, refused, the disk──▶ cut: nothing more is taken, the flow goes on
 *       └──────────────── the flow ends ─────────┴─────▶ ended
 * ```
 */
export class FlowCapture {
  /** Bytes that passed, captured or not. */
  private clientBytes = 0;
  private upstreamBytes = 0;
  private leftBytes: number;
  private cut: number = Incomplete.none;
  private hasEnded = false;

  private constructor(
    private readonly room: CaptureRoom,
    private readonly lane: CaptureLane,
    private readonly wanted: CaptureSnapshot,
    readonly id: string,
    private readonly sequence: number,
    private readonly slot: number,
  ) {
    this.leftBytes = wanted.maxBytes;
  }

  /**
   * Begins to capture a flow, if its listener wants it and the sample takes it.
   *
   * @param note made only then
   * @returns nothing where it is not captured
   */
  static begin(
    room: CaptureRoom,
    wanted: CaptureSnapshot | undefined,
    sequence: number,
    note: () => CaptureNote,
  ): FlowCapture | undefined {
    const { captures, counters, clock } = room;
    if (wanted === undefined || captures === undefined || !captures.isOpen) return undefined;
    if (wanted.sample < 1 && Math.random() >= wanted.sample) return undefined;
    const facts = note();
    const text = noteText(facts, wanted);
    const slot = captures.begin(sequence, wanted.store, text, processMs(clock.nowMs));
    if (slot < 0) {
      counters.values[Counter.captures_refused]!++;
      return undefined;
    }
    counters.values[Counter.captures_begun]!++;
    counters.values[Counter.captures_active]!++;
    return new FlowCapture(room, captures, wanted, facts.id, sequence, slot);
  }

  /** Why nothing more is captured; `none` while everything is. */
  get incomplete(): IncompleteReason {
    return incompleteReasons[this.cut]!;
  }

  /** Bytes that are in memory, and have been read or written. */
  copied(direction: number, address: number, length: number): void {
    const most = this.admit(direction, length);
    if (most === 0) return;
    const { lane, slot, sequence, room } = this;
    const timeMs = processMs(room.clock.nowMs);
    const outcome = lane.copied(slot, sequence, direction, address, most, timeMs);
    this.after(outcome, Counter.capture_copy_bytes, most, length);
  }

  /** Bytes that are the first in a pipe. */
  spliced(direction: number, pipe: Pipe, length: number): void {
    const most = this.admit(direction, length);
    if (most === 0) return;
    const { lane, slot, sequence, room } = this;
    const timeMs = processMs(room.clock.nowMs);
    const outcome = lane.spliced(slot, sequence, direction, pipe, most, timeMs);
    this.after(outcome, Counter.capture_tee_bytes, most, length);
  }

  /** Bytes of a file that have just been sent, so that they are in memory. */
  sent(direction: number, file: number, offset: number, length: number): void {
    const most = this.admit(direction, length);
    if (most === 0) return;
    const { lane, slot, sequence, room } = this;
    const timeMs = processMs(room.clock.nowMs);
    const outcome = lane.sent(slot, sequence, direction, file, offset, most, timeMs);
    this.after(outcome, Counter.capture_tee_bytes, most, length);
  }

  /** The flow is over. */
  end(reason: CloseReason): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    const { lane, slot, sequence, cut, room } = this;
    room.counters.values[Counter.captures_active]!--;
    const close = closeReasons.indexOf(reason);
    const timeMs = processMs(room.clock.nowMs);
    lane.end(slot, sequence, cut, close, this.clientBytes, this.upstreamBytes, timeMs);
    // Its slot may be somebody else's by now.
    this.cut = Incomplete.interrupted;
  }

  /** Counts what passes. @returns how much of it is to be captured */
  private admit(direction: number, length: number): number {
    const isClient = direction === CLIENT;
    if (isClient) this.clientBytes += length;
    else this.upstreamBytes += length;
    if (this.cut !== Incomplete.none) return 0;
    if (!(isClient ? this.wanted.client : this.wanted.upstream)) return 0;
    if (this.lane.hasFailed(this.slot, this.sequence)) {
      // The capture thread knows better what it was.
      this.cut = Incomplete.disk_error;
      return 0;
    }
    if (this.leftBytes <= 0) this.cut = Incomplete.max_bytes;
    return Math.min(length, this.leftBytes);
  }

  private after(outcome: Taken, counter: number, bytes: number, wanted: number): void {
    if (outcome !== Taken.All) {
      this.cut = outcome === Taken.Refused ? Incomplete.refused : Incomplete.buffer_full;
      return;
    }
    const { values } = this.room.counters;
    values[counter]! += bytes;
    values[Counter.capture_waiting_bytes_max] = this.lane.bytesWaitingMax;
    this.leftBytes -= bytes;
    if (bytes < wanted) this.cut = Incomplete.max_bytes;
  }
}
