import type { Transport } from '../../splice/index.js';
import type { TicketOutcome } from '../sessions/index.js';
import type { TlsEnding } from './tls-ending.js';

/** A transport whose bytes are encrypted on their way, by whomever. */
export interface TlsTransport extends Transport {
  /** How the peer's stream has ended; None while it has not. */
  readonly ending: TlsEnding;
  /** After Failed, in a word for people: the alert that came, or what went wrong. */
  readonly failure: string | undefined;
  /** It just stopped, without close_notify: what was read may not be all. */
  readonly isTruncated: boolean;
  /** What came of the session tickets, where they are not OpenSSL's to read. */
  readonly ticketOutcome: TicketOutcome;
}
