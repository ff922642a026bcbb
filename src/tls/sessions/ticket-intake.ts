import { NativeMemory } from '../../splice/index.js';
import {
  type Caller,
  freeConnection,
  type OpenSsl,
  readAsking,
  SslError,
} from '../openssl/index.js';
import { RecordType } from '../protocol/index.js';
import { type RecordSealer, sealedRecord } from './record-sealer.js';
import type { SessionSlot } from './session-slot.js';

/** What came of the tickets of a connection. {@link TicketOutcome} is a position among them. */
export const ticketOutcomes = ['not_awaited', 'none', 'kept', 'refused'] as const;

export const TicketOutcome = {
  /** Nobody has waited for any: it is no TLS 1.3 upstream's, or OpenSSL has the records itself. */
  NotAwaited: 0,
  /** None has come in time. */
  None: 1,
  /** A session was put aside, for the next connection to resume. */
  Kept: 2,
  /** OpenSSL has not liked what came, or will not resume it: a lifetime of 0, say. */
  Refused: 3,
} as const;
export type TicketOutcome = (typeof TicketOutcome)[keyof typeof TicketOutcome];

/**
 * Reads of application data after which no ticket is expected any more. Servers send theirs with, or
 * right after, the end of the handshake; what is kept for them is not small.
 */
const READS_MAX = 16;

const nothing = new NativeMemory(1);

/**
 * OpenSSL's end of an upstream's connection whose records the kernel receives, kept until the first
 * session ticket has come: only OpenSSL can make a session of it, because the secret that goes with the
 * ticket (RFC 8446 §4.6.1) is told to nobody. It sees no record but these, sealed once more under the
 * server's first key and numbered from 0, as if nothing else had ever been sent.
 *
 * ```
 *   socket ──record──▶ kernel ──NewSessionTicket, in plain──▶ KernelTlsReader
 *                                                                  │ sealed again
 *                            session ◀── SSL_read ◀── memory BIO ◀─┘
 * ```
 */
export class TicketIntake {
  outcome: TicketOutcome = TicketOutcome.None;
  private readonly bio: number;
  private readsLeft = READS_MAX;
  private isReleased = false;

  /**
   * @param ssl an SSL whose handshake is done and that has read nothing since
   * @param isSending it still seals what is sent, for its owner to free; otherwise this object frees it
   * @param sealer under the server's key; this object releases it
   * @param asked told of the sessions
   * @param slot where it puts them
   */
  constructor(
    private readonly openssl: OpenSsl,
    private readonly ssl: number,
    private readonly isSending: boolean,
    private readonly sealer: RecordSealer,
    private readonly asked: Caller,
    private readonly slot: SessionSlot,
  ) {
    this.bio = openssl.BIO_new(openssl.BIO_s_mem());
    openssl.SSL_set0_rbio(ssl, this.bio);
    if (!isSending) openssl.SSL_set0_wbio(ssl, openssl.BIO_new(openssl.BIO_s_null()));
  }

  /**
   * Takes `content[start, end)`, at most as much as a {@link RecordSealer} seals.
   * @param isWhole a ticket ends there
   */
  take(content: Uint8Array, start: number, end: number, isWhole: boolean): void {
    if (this.isReleased) return;
    const keptBefore = this.slot.keptTotal;
    const goesOn = this.feed(content, start, end);
    if (goesOn && !isWhole) return;
    const isKept = this.slot.keptTotal > keptBefore;
    this.outcome = isKept ? TicketOutcome.Kept : TicketOutcome.Refused;
    if (isKept || !goesOn) this.release();
  }

  /** Application data has been read. */
  pass(): void {
    if (--this.readsLeft === 0) this.release();
  }

  /** Frees OpenSSL's part, and overwrites the key; `outcome` stays. */
  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.sealer.release();
    this.openssl.ERR_clear_error();
    if (this.isSending) return;
    freeConnection(this.openssl, this.ssl, this.outcome === TicketOutcome.Kept);
  }

  /** @returns false when OpenSSL is done with the connection */
  private feed(content: Uint8Array, start: number, end: number): boolean {
    const { openssl, ssl } = this;
    const length = this.sealer.seal(RecordType.Handshake, content, start, end);
    if (length === 0) return false;
    openssl.BIO_write(this.bio, sealedRecord, length);
    openssl.ERR_clear_error();
    const result = readAsking(openssl, ssl, nothing.address, 1, this.asked);
    return openssl.SSL_get_error(ssl, result) === SslError.SSL_ERROR_WANT_READ;
  }
}
