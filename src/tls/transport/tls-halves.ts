import type { Pipe } from '../../splice/index.js';
import type { TicketOutcome } from '../sessions/index.js';
import type { TlsEnding } from './tls-ending.js';

/** The receiving direction of a connection; the members are those of a `Transport`. */
export interface ReadingHalf {
  readable: boolean;
  readonly errno: number;
  readonly bulkReadBytes: number;
  /** How reading has ended; None while it has not. */
  readonly ending: TlsEnding;
  /** Why reading failed, as in `handshakeFailures`, where it is an alert or a fault of OpenSSL's. */
  readonly failure: string | undefined;
  /** What came of the session tickets, where they are not OpenSSL's to read. */
  readonly ticketOutcome: TicketOutcome;
  notice(events: number): void;
  read(address: number, length: number): number;
  spliceTo(pipe: Pipe, length: number): number;
  /** Gives back what it holds, and says nothing; the socket is not its to close. */
  release(): void;
}

/** The sending direction of a connection; the members are those of a `Transport`. */
export interface WritingHalf {
  writable: boolean;
  readonly errno: number;
  readonly isClosing: boolean;
  /** Why nothing more can be sent, where it is not the socket's fault; None else. */
  readonly ending: TlsEnding;
  notice(events: number): void;
  write(address: number, length: number, more?: boolean): number;
  sendFile(file: number, offset: number, length: number): number;
  spliceFrom(pipe: Pipe, more: boolean): number;
  shutdownWrite(): number;
  /** Says end of stream if it can be said at once. */
  end(): void;
  /** As {@link ReadingHalf.release}. */
  release(): void;
}
