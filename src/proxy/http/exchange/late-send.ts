import { type LateWriter, PlainTransport, type Transport } from '../../../splice/index.js';
import type { HttpRoom } from '../http-room.js';

/** A longer one costs so much that the price of its call does not matter, and would keep others waiting. */
const BYTES_MAX = 16 * 1024;
const NO_TICKET = -1;

/** Who sends something whole. */
export interface LateSender {
  /** It was written, with others. @param written bytes, Blocked or Failed */
  onSent(written: number): void;
  onException(error: unknown): void;
}

/**
 * A request or a response that is there from its first byte to its last, and may wait until all connections of
 * the turn have been served: then it goes out with the others'.
 */
export class LateSend implements LateWriter {
  private ticket = NO_TICKET;
  private transport: PlainTransport | undefined;
  /** Bytes that were offered last. */
  length = 0;

  constructor(
    private readonly room: HttpRoom,
    private readonly sender: LateSender,
  ) {}

  /** It has not been written yet. */
  get isPending(): boolean {
    return this.ticket !== NO_TICKET;
  }

  /**
   * Bytes that nobody will touch until they are written.
   * @returns false where they cannot wait: there is no such moment in this turn, or they do not go to a plain TCP socket
   */
  offer(transport: Transport, address: number, length: number): boolean {
    const { calls } = this.room.worker.clock;
    if (calls === undefined || !calls.isOpen || length > BYTES_MAX || !transport.writable)
      return false;
    if (!(transport instanceof PlainTransport && transport.isTcp)) return false;
    transport.expectWrite(length);
    this.transport = transport;
    this.length = length;
    this.ticket = calls.add(transport.fd, address, length, this);
    return true;
  }

  /** It is not to be written any more. */
  withdraw(): void {
    if (this.ticket === NO_TICKET) return;
    this.room.worker.clock.calls!.withdraw(this.ticket);
    this.ticket = NO_TICKET;
  }

  onWritten(result: number): void {
    this.ticket = NO_TICKET;
    this.sender.onSent(this.transport!.hasWritten(result, this.length));
  }

  onException(error: unknown): void {
    this.sender.onException(error);
  }
}
