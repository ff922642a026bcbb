import { closeReasons, type IncompleteReason, incompleteReasons } from '../../proxy/index.js';
import type { Pipe } from '../../splice/index.js';
import type { CaptureStore } from './capture-store.js';
import type { DiskWriter } from './disk-writer.js';
import { type BeginNote, FlowWriter } from './flow-writer.js';
import { type LaneEnd, type LaneListener, LaneReader } from './lane-reader.js';

/** What all lanes share. */
export interface RecordingRoom {
  readonly writer: DiskWriter;
  /** Who this is, as records name it. */
  readonly process: string;
  /** The store of that number, ready to be written to; nothing when its directory is not. */
  store(number: number): CaptureStore | undefined;
  /** A flow's files are written from now on, or not any more. */
  begun(flow: FlowWriter): void;
  /** Its capture has ended. @param hasEnd its record says so */
  ended(flow: FlowWriter, reason: IncompleteReason, hasEnd: boolean): void;
  /** A flow is not captured at all, as nothing could be made for it. */
  missed(reason: IncompleteReason): void;
  /** Something is missing. */
  complain(subject: string, reason: IncompleteReason, detail?: string): void;
}

interface RecordedFlow {
  readonly sequence: number;
  readonly writer: FlowWriter;
}

/** What one worker captures, on its way to the disk. */
export class LaneRecording implements LaneListener {
  readonly reader: LaneReader;
  /** Its worker is gone: when it is empty it is over. */
  isRetired = false;
  /** By slot. */
  private readonly flows: (RecordedFlow | undefined)[] = [];
  /** Slots of flows with messages that wait to be written. */
  private readonly unsettled = new Set<number>();

  constructor(
    readonly id: number,
    memory: SharedArrayBuffer,
    private readonly room: RecordingRoom,
  ) {
    this.reader = new LaneReader(room.writer.kernel, memory, this);
  }

  begin(slot: number, sequence: number, number: number, text: string, timeMs: number): void {
    const { room } = this;
    const store = room.store(number);
    const note = JSON.parse(text) as BeginNote;
    if (store === undefined) {
      this.reader.fail(slot, sequence);
      room.missed('directory');
      room.complain(note.listener, 'directory');
      return;
    }
    const writer = new FlowWriter(room.writer, store, note, timeMs);
    this.flows[slot] = { sequence, writer };
    room.begun(writer);
    writer.begin(room.process);
    this.look(slot);
  }

  copied(slot: number, direction: number, address: number, length: number, timeMs: number): void {
    this.flows[slot]?.writer.copied(direction === 0, address, length, timeMs);
    this.unsettled.add(slot);
    this.look(slot);
  }

  spliced(slot: number, direction: number, pipe: Pipe, length: number, timeMs: number): void {
    this.flows[slot]?.writer.spliced(direction === 0, pipe, length, timeMs);
    this.look(slot);
  }

  discard(pipe: Pipe, length: number): boolean {
    return this.room.writer.discard(pipe, length);
  }

  end(slot: number, { incomplete, close, timeMs, ...counts }: LaneEnd): void {
    const flow = this.flows[slot];
    // It was begun before another capture thread, which had its record ended, or never could be.
    if (flow === undefined) return;
    this.flows[slot] = undefined;
    this.conclude(flow.writer, timeMs, incompleteReasons[incomplete]!, {
      client_bytes: counts.clientBytes,
      upstream_bytes: counts.upstreamBytes,
      close: closeReasons[close]!,
    });
  }

  onException(slot: number, error: unknown): void {
    const flow = this.flows[slot];
    flow?.writer.fail('disk_error');
    this.look(slot);
    this.room.complain(flow?.writer.id ?? '', 'disk_error', String(error));
  }

  /** Deals with what has come. @param most entries @returns how many there were */
  take(most: number): number {
    const taken = this.reader.take(most);
    for (const slot of this.unsettled) {
      this.flows[slot]?.writer.settle();
      this.look(slot);
    }
    this.unsettled.clear();
    return taken;
  }

  /** Writes the lines that wait. */
  flush(): void {
    for (const [slot, flow] of this.flows.entries()) {
      if (flow === undefined) continue;
      flow.writer.flush();
      this.look(slot);
    }
  }

  /** Nothing more comes: flows that have not ended do so now. */
  abandon(reason: IncompleteReason): void {
    for (const flow of this.flows) {
      if (flow === undefined) continue;
      const { writer } = flow;
      const { clientBytes, upstreamBytes, lastMs } = writer;
      const facts = { client_bytes: clientBytes, upstream_bytes: upstreamBytes };
      this.conclude(writer, lastMs, reason, facts);
    }
    this.flows.length = 0;
  }

  /** A flow that cannot be written need not be captured. */
  private look(slot: number): void {
    const flow = this.flows[slot];
    if (flow === undefined || flow.writer.incomplete === 'none') return;
    this.reader.fail(slot, flow.sequence);
    this.room.complain(flow.writer.directory, flow.writer.incomplete);
  }

  private conclude(
    writer: FlowWriter,
    timeMs: number,
    incomplete: IncompleteReason,
    facts: { client_bytes: number; upstream_bytes: number; close?: string },
  ): void {
    const hasEnd = writer.end({ ...facts, incomplete }, timeMs);
    this.room.ended(writer, writer.incomplete === 'none' ? incomplete : writer.incomplete, hasEnd);
  }
}
