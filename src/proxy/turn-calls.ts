import type {
  CallBatch,
  Kernel,
  LateCloses,
  LateWriter,
  LateWrites,
  NativeMemory,
  ReaderAhead,
  ReadsAhead,
} from '../splice/index.js';
import { Counter, type Counters } from './counters.js';

/**
 * What the flows that have events in one turn of the loop ask of the kernel, made together: a system call for the reads of
 * all of them, and so for writes and for closes, instead of one for each.
 *
 * ```
 *   epoll_wait ─▶ begin ─▶ readAhead… ─▶ read ─▶ handlers, with their bytes ─▶ add… ─▶ write
 *                                        serve ─▶ other handlers ─▶ add… ─▶ write ─▶ end ─▶ tasks, timers
 * ```
 *
 * Between `begin` and `end` descriptors are closed late: each is out of everybody's sight, and its number free when the turn is over.
 */
export class TurnCalls implements LateWrites, ReadsAhead, LateCloses {
  /** Between `begin` and `end`. */
  private isTurning = false;
  /** Handlers are being served. */
  private isServing = false;
  /** Writes have been made, and their writers are being told. */
  private isTelling = false;
  private readonly readers: (ReaderAhead | undefined)[];
  private readonly buffersAhead: (NativeMemory | undefined)[];
  private readonly writers: (LateWriter | undefined)[];
  /** Descriptors to be closed. */
  private readonly closing: Int32Array;
  private closingCount = 0;

  constructor(
    private readonly batch: CallBatch,
    private readonly counters: Counters,
  ) {
    this.readers = new Array(batch.capacity).fill(undefined);
    this.buffersAhead = new Array(batch.capacity).fill(undefined);
    this.writers = new Array(batch.capacity).fill(undefined);
    this.closing = new Int32Array(batch.capacity);
    counters.values[Counter.batches_open] = 1;
  }

  /** Events of a turn from which on it pays. */
  get worthFrom(): number {
    return this.batch.worthFrom;
  }

  /** Calls that have been asked for and not been made. */
  get size(): number {
    return this.batch.size;
  }

  get isOpen(): boolean {
    return this.isServing && this.batch.size < this.batch.capacity;
  }

  /** From now on closes are welcome. */
  begin(): void {
    this.isTurning = true;
  }

  readAhead(
    fd: number,
    buffer: NativeMemory,
    address: number,
    length: number,
    reader: ReaderAhead,
  ): void {
    const call = this.batch.recv(fd, address, length);
    this.readers[call] = reader;
    this.buffersAhead[call] = buffer;
  }

  /** Makes the reads, one at least, and hands out what came. From now on writes are welcome. */
  read(): void {
    const { batch, readers, buffersAhead } = this;
    const count = this.run();
    for (let call = 0; call < count; call++) {
      readers[call]!.hasReadAhead(buffersAhead[call]!, batch.resultOf(call));
      readers[call] = undefined;
      buffersAhead[call] = undefined;
    }
    this.isServing = true;
  }

  /** From now on writes are welcome, without a read before them. */
  serve(): void {
    this.isServing = true;
  }

  add(fd: number, address: number, length: number, writer: LateWriter): number {
    const call = this.batch.send(fd, address, length);
    this.writers[call] = writer;
    return call;
  }

  withdraw(ticket: number): number | undefined {
    this.writers[ticket] = undefined;
    if (this.isTelling) return this.batch.resultOf(ticket);
    this.batch.withdraw(ticket);
    return undefined;
  }

  /** Makes the writes, and tells who asked for them. */
  write(): void {
    this.isServing = false;
    const { batch, writers } = this;
    if (batch.size === 0) return;
    const count = this.run();
    this.isTelling = true;
    for (let call = 0; call < count; call++) {
      const writer = writers[call];
      if (writer === undefined) continue;
      writers[call] = undefined;
      this.tell(writer, batch.resultOf(call));
    }
    this.isTelling = false;
  }

  closeLate(fd: number): boolean {
    if (!this.isTurning || this.closingCount === this.closing.length) return false;
    this.closing[this.closingCount++] = fd;
    return true;
  }

  /** Somebody needs descriptors: makes the closes now, each by itself. @returns how many */
  closeNow(kernel: Kernel): number {
    const { closing, closingCount } = this;
    this.closingCount = 0;
    for (let index = 0; index < closingCount; index++) kernel.close(closing[index]!);
    return closingCount;
  }

  /** Makes the closes. None is welcome any more. */
  end(): void {
    this.isTurning = false;
    const { batch, closing, closingCount } = this;
    if (closingCount === 0) return;
    for (let index = 0; index < closingCount; index++) batch.closeSocket(closing[index]!);
    this.closingCount = 0;
    const count = this.run();
    // One that failed is counted when it is asked for.
    for (let call = 0; call < count; call++) batch.resultOf(call);
  }

  close(): void {
    this.batch.close();
    this.counters.values[Counter.batches_open] = 0;
  }

  private tell(writer: LateWriter, result: number): void {
    try {
      writer.onWritten(result);
    } catch (error) {
      this.counters.values[Counter.exceptions]!++;
      writer.onException(error);
    }
  }

  private run(): number {
    const { values } = this.counters;
    const count = this.batch.run();
    values[Counter.batches]!++;
    values[Counter.batched_calls]! += count;
    return count;
  }
}
