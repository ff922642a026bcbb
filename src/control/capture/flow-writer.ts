import type { CaptureNote, IncompleteReason } from '../../proxy/index.js';
import type { Pipe } from '../../splice/index.js';
import { type CaptureFileKind, capturePath } from './capture-files.js';
import {
  type CaptureEnd,
  type CaptureHead,
  chunkLine,
  endLine,
  headLine,
  RECORD_FORMAT,
} from './capture-record.js';
import type { CaptureStore } from './capture-store.js';
import type { DiskWriter } from './disk-writer.js';
import type { CaptureFile } from './open-files.js';
import { BLOCK_BYTES, type WriteBlock } from './write-blocks.js';

/** Lines of a record are written together: this many characters, or what there is once in a while. */
const LINES_LENGTH_MAX = 8 * 1024;

/** What the worker says at the beginning. */
export type BeginNote = CaptureNote & Pick<CaptureHead, 'directions' | 'start'>;

/** The files of one flow while it is captured. */
export class FlowWriter {
  /** Why there is nothing more to write; `none` while everything was. */
  incomplete: IncompleteReason = 'none';
  private record: CaptureFile | undefined;
  private client: CaptureFile | undefined;
  private upstream: CaptureFile | undefined;
  /** What was copied and is not written yet. */
  private readonly blocks: { client?: WriteBlock; upstream?: WriteBlock } = {};
  private lines = '';
  /** When the last bytes came. */
  lastMs: number;

  /** @param beginMs when the flow began, on the clock of all threads */
  constructor(
    private readonly writer: DiskWriter,
    private readonly store: CaptureStore,
    readonly note: BeginNote,
    private readonly beginMs: number,
  ) {
    this.lastMs = beginMs;
  }

  get id(): string {
    return this.note.id;
  }

  get directory(): string {
    return this.store.directory;
  }

  /** Bytes that were written. */
  get clientBytes(): number {
    return this.client?.bytes ?? 0;
  }

  get upstreamBytes(): number {
    return this.upstream?.bytes ?? 0;
  }

  /** Makes the record. @param process who this is */
  begin(process: string): void {
    const { note, store, id } = this;
    if (!store.begin(id)) {
      this.incomplete = 'no_room';
      return;
    }
    const record = this.create('record');
    if (record === undefined) {
      store.forget(id);
      return;
    }
    this.record = record;
    this.lines = headLine({ format: RECORD_FORMAT, ...note, process });
    this.flush();
    if (this.lines !== '') this.withdraw(record);
  }

  /**
   * The record has no head. It goes, instead of waiting for room: a disk that is full for hours would gather an empty file, and
   * a writer in memory, for every connection.
   */
  private withdraw(record: CaptureFile): void {
    this.record = undefined;
    this.lines = '';
    this.writer.files.close(record);
    this.store.withdraw(this.id);
  }

  /** Small messages wait for {@link settle}, or for as much as is worth a system call. */
  copied(isClient: boolean, address: number, length: number, timeMs: number): void {
    const file = this.fileFor(isClient, length);
    if (file === undefined) return;
    const kind = isClient ? 'client' : 'upstream';
    if (!(this.blocks[kind]?.hasRoomFor(length) ?? true)) this.settleOne(kind);
    if (this.incomplete !== 'none') return;
    if (length <= BLOCK_BYTES) {
      this.blocks[kind] ??= this.writer.blocks.take();
      this.blocks[kind].add(address, length);
      this.wrote(undefined, isClient, length, timeMs);
    } else {
      this.wrote(this.writer.append(file, address, length), isClient, length, timeMs);
    }
  }

  /** What could not be written is left in the pipe. */
  spliced(isClient: boolean, pipe: Pipe, length: number, timeMs: number): void {
    const file = this.fileFor(isClient, length);
    this.settleOne(isClient ? 'client' : 'upstream');
    if (file === undefined || this.incomplete !== 'none') return;
    this.wrote(this.writer.appendPipe(file, pipe, length), isClient, length, timeMs);
  }

  /** Writes the messages that wait. */
  settle(): void {
    this.settleOne('client');
    this.settleOne('upstream');
  }

  /** Writes the lines that wait. */
  flush(): void {
    const { record, lines } = this;
    if (record === undefined || lines === '') return;
    if (!this.store.grow(this.id, record.bytes, lines.length)) {
      this.fail('no_room');
      return;
    }
    const before = record.bytes;
    const fault = this.writer.appendText(record, lines);
    if (fault === undefined) {
      this.lines = '';
      return;
    }
    // A part of a line would spoil the next.
    record.bytes = before;
    this.fail(fault);
  }

  /** @returns false when the disk has no room for the end: try again later */
  end({ incomplete, ...facts }: Omit<CaptureEnd, 'duration_us' | 'end'>, timeMs: number): boolean {
    if (this.record === undefined) return true;
    this.settle();
    const reason = this.incomplete === 'none' ? incomplete : this.incomplete;
    this.lines += endLine({
      end: new Date().toISOString(),
      duration_us: this.sinceBegin(timeMs),
      ...facts,
      ...(reason !== undefined && reason !== 'none' && { incomplete: reason }),
    });
    const hasEnded = this.writeEnd();
    if (hasEnded) this.store.end(this.id);
    return hasEnded;
  }

  /** Once more. @returns whether it is written */
  retryEnd(): boolean {
    const hasEnded = this.writeEnd();
    if (hasEnded) this.store.end(this.id);
    return hasEnded;
  }

  private writeEnd(): boolean {
    this.flush();
    if (this.lines !== '') return false;
    for (const file of [this.record, this.client, this.upstream]) {
      if (file !== undefined) this.writer.files.close(file);
    }
    return true;
  }

  private settleOne(kind: 'client' | 'upstream'): void {
    const block = this.blocks[kind];
    if (block === undefined) return;
    delete this.blocks[kind];
    // Behind what could not be written there must be nothing: it would be a gap.
    if (this.incomplete === 'none') {
      const fault = this.writer.append(this[kind]!, block.address, block.length);
      if (fault !== undefined) this.fail(fault);
    }
    this.writer.blocks.give(block);
  }

  /** The file is there, and may grow. */
  private fileFor(isClient: boolean, length: number): CaptureFile | undefined {
    if (this.incomplete !== 'none') return undefined;
    const kind = isClient ? 'client' : 'upstream';
    this[kind] ??= this.create(kind);
    const file = this[kind];
    const waiting = this.blocks[kind]?.length ?? 0;
    if (file === undefined || this.store.grow(this.id, file.bytes + waiting, length)) return file;
    this.fail('no_room');
    return undefined;
  }

  private create(kind: CaptureFileKind): CaptureFile | undefined {
    try {
      return this.writer.files.create(capturePath(this.store.directory, this.id, kind));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.fail(code === 'ENOSPC' || code === 'EDQUOT' ? 'disk_full' : 'directory');
      return undefined;
    }
  }

  private wrote(
    fault: IncompleteReason | undefined,
    isClient: boolean,
    length: number,
    timeMs: number,
  ): void {
    if (fault !== undefined) {
      this.fail(fault);
      return;
    }
    this.lastMs = timeMs;
    this.lines += chunkLine(isClient, this.sinceBegin(timeMs), length);
    if (this.lines.length > LINES_LENGTH_MAX) this.flush();
  }

  private sinceBegin(timeMs: number): number {
    return Math.max(0, Math.round((timeMs - this.beginMs) * 1000));
  }

  /** Nothing more is written, for the first reason there was. */
  fail(reason: IncompleteReason): void {
    if (this.incomplete === 'none') this.incomplete = reason;
  }
}
