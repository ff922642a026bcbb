import { PlainTransport } from '../plain-transport.js';
import type { Transport } from '../transport.js';
import type { LateWriter, LateWrites } from './late-writes.js';

/** A longer one costs so much that the price of its call does not matter, and would keep others waiting. */
const BYTES_MAX = 16 * 1024;
const NO_TICKET = -1;

/** Of this thread: as many as one turn has. */
const SPARE_MAX = 256;
const spare: LateWrite[] = [];

/** Whose bytes are written. */
export interface LateSender {
  /** They were. @param written of them: bytes, Blocked or Failed, as `Transport.write` answers */
  onSent(written: number): void;
  onException(error: unknown): void;
}

/**
 * A write that can wait until everybody else has been served, and then goes out with theirs.
 *
 * ```
 *   none ──offer──▶ pending ──its turn, or settle──▶ none: the sender is told
 *                      └────────withdraw───────────▶ none
 * ```
 */
export class LateWrite implements LateWriter {
  private ticket = NO_TICKET;
  private writes: LateWrites | undefined;
  private sink: PlainTransport | undefined;
  private address = 0;
  /** Of the bytes offered last. */
  length = 0;

  constructor(private sender: LateSender) {}

  /** One for a single write, to be given back: a connection that is quiet owns none. */
  static take(sender: LateSender): LateWrite {
    const late = spare.pop();
    if (late === undefined) return new LateWrite(sender);
    late.sender = sender;
    return late;
  }

  /** It is not pending, and whoever took it has forgotten it. */
  static give(late: LateWrite): void {
    if (spare.length < SPARE_MAX) spare.push(late);
  }

  get isPending(): boolean {
    return this.ticket !== NO_TICKET;
  }

  /**
   * Bytes that nobody will touch while the write is pending.
   *
   * @returns false where it cannot wait: there is no such moment in this turn, there are many bytes, or they do not
   *   go to a plain TCP socket that has room
   */
  offer(writes: LateWrites | undefined, sink: Transport, address: number, length: number): boolean {
    if (writes === undefined || !writes.isOpen || length > BYTES_MAX || !sink.writable)
      return false;
    if (!(sink instanceof PlainTransport && sink.isTcp)) return false;
    sink.expectWrite(length);
    this.writes = writes;
    this.sink = sink;
    this.address = address;
    this.length = length;
    this.ticket = writes.add(sink.fd, address, length, this);
    return true;
  }

  /** It is made now, if it is pending: the sink is about to be closed, or asked how it is. */
  settle(): void {
    if (this.ticket === NO_TICKET) return;
    const result = this.writes!.withdraw(this.ticket);
    if (result === undefined) {
      this.ticket = NO_TICKET;
      this.sender.onSent(this.sink!.write(this.address, this.length));
    } else {
      this.onWritten(result);
    }
  }

  /** It is not to be made any more. */
  withdraw(): void {
    if (this.ticket === NO_TICKET) return;
    this.writes!.withdraw(this.ticket);
    this.ticket = NO_TICKET;
  }

  onWritten(result: number): void {
    this.ticket = NO_TICKET;
    this.sender.onSent(this.sink!.hasWritten(result, this.length));
  }

  onException(error: unknown): void {
    this.sender.onException(error);
  }
}
