import {
  type Clock,
  Epoll,
  Errno,
  type Kernel,
  Outcome,
  readAndDrop,
  resetSocket,
  Socket,
  SocketOption,
  setOption,
} from '../../splice/index.js';
import {
  type Caller,
  failureOf,
  freeConnection,
  isReceivedAlert,
  lastErrno,
  Misc,
  type OpenSsl,
  readAsking,
  SslError,
} from '../openssl/index.js';
import { RECORD_BYTES_MAX } from '../protocol/index.js';
import { TicketOutcome } from '../sessions/index.js';
import {
  allowMessages,
  isOverdrawn,
  MESSAGES_MAX,
  messageCounter,
  messagesLeft,
  REFILL_BYTES,
} from './message-allowance.js';
import { RecordLength } from './record-length.js';
import { Sending } from './sending.js';
import { endingFailure, TlsEnding } from './tls-ending.js';
import type { TlsTransport } from './tls-transport.js';

const READ_EVENTS =
  Epoll.EPOLLIN | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const WRITE_EVENTS = Epoll.EPOLLOUT | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const END_EVENTS = Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** Records of one read: a peer may put a byte in each, and they cost as much as long ones. */
const RECORDS_MAX = 64;

/**
 * A TLS connection whose records OpenSSL reads and writes at the socket: one copy in and one out, and
 * no memory of its own while it is quiet (SSL_MODE_RELEASE_BUFFERS).
 *
 * A write that answered Blocked must be repeated with the same bytes, or more that begin with them:
 * OpenSSL holds the record that the socket did not take.
 */
export class UserlandTlsTransport implements TlsTransport {
  readable = true;
  writable = true;
  errno = 0;
  readonly bulkReadBytes = Number.POSITIVE_INFINITY;
  readonly hasReadAll = false;
  /** The stream just stopped without close_notify, as many do (Eof); inside a record none does that was not cut off (Failed). */
  isTruncated = false;
  /** The connection was reset, and the socket says so no more: an end without close_notify is no FIN. */
  isPeerGone = false;
  /** After Failed with EPROTO: what went wrong between the two TLS ends, in the words that kernel TLS has for it. */
  failure: string | undefined;
  readonly ticketOutcome = TicketOutcome.NotAwaited;

  private readonly kernel: Kernel;
  private readonly clock: Clock;
  private readonly bio: number;
  /** What the next read answers: something that was found behind the bytes of the last one. */
  private readOutcome: number = 0;
  private hasReadOutcome = false;
  private readWantsWrite = false;
  private writeWantsRead = false;
  /** OpenSSL has failed: no call but SSL_free may follow. */
  private isBroken = false;
  /** A FIN, or an error, is behind the bytes. */
  private atEnd = false;
  private sending: Sending = Sending.open;
  /** Length of the write that blocked. */
  private pendingBytes = 0;
  /** Nothing is half read: the next read(2) asks for a whole buffer. */
  private isClean: boolean;
  /** Bytes that had been read from the socket when it last was clean. */
  private readAtClean: number;
  /** Handshake messages and alerts it may still make of. */
  private messages = MESSAGES_MAX;
  private bytesToRefill = REFILL_BYTES;
  private isFlooded = false;
  private readonly recordLength: RecordLength;

  /**
   * @param ssl an SSL whose handshake is done; this object frees it, and closes the socket
   * @param isTcp see PlainTransport
   * @param readsAhead OpenSSL has been told to read more than one record at a time
   * @param asked told of new sessions; only where they are kept
   */
  constructor(
    room: { readonly kernel: Kernel; readonly clock: Clock },
    private readonly openssl: OpenSsl,
    private readonly ssl: number,
    readonly fd: number,
    private readonly isTcp: boolean,
    readsAhead: boolean,
    private readonly asked: Caller | undefined,
  ) {
    this.kernel = room.kernel;
    this.clock = room.clock;
    this.bio = openssl.SSL_get_rbio(ssl);
    this.recordLength = new RecordLength(this.clock.nowMs);
    if (!readsAhead) openssl.SSL_set_read_ahead(ssl, 1);
    openssl.SSL_set_info_callback(ssl, messageCounter());
    this.isClean = openssl.SSL_has_pending(ssl) === 0;
    this.readAtClean = openssl.BIO_number_read(this.bio);
  }

  /** The end of our stream waits for room in the socket: to close now would cut it off. */
  get isClosing(): boolean {
    return this.sending === Sending.closing;
  }

  notice(events: number): void {
    if ((events & END_EVENTS) !== 0) this.atEnd = true;
    if ((events & READ_EVENTS) !== 0) {
      this.readable = true;
      if (this.writeWantsRead) this.writable = true;
    }
    if ((events & WRITE_EVENTS) !== 0) {
      this.writable = true;
      if (this.readWantsWrite) this.readable = true;
      if (this.sending === Sending.closing) this.sendClose();
    }
  }

  read(address: number, length: number): number {
    if (this.hasReadOutcome) return this.readAgain();
    const { messages } = this;
    allowMessages(messages);
    const result = this.readRecords(address, length);
    this.messages = messagesLeft();
    if (messages < MESSAGES_MAX && result > 0) this.refill(result);
    return result;
  }

  private readRecords(address: number, length: number): number {
    const { openssl, ssl } = this;
    const asked = this.asked;
    const wasClean = this.isClean;
    let total = 0;
    let records = 0;
    do {
      const result =
        asked === undefined
          ? openssl.SSL_read(ssl, address + total, length - total)
          : readAsking(openssl, ssl, address + total, length - total, asked);
      if (result <= 0) return this.readEnded(result, total);
      total += result;
      if (openssl.SSL_has_pending(ssl) === 0) {
        if (this.hasDrained(wasClean)) {
          this.readable = false;
          return total;
        }
      } else {
        this.isClean = false;
      }
      records++;
    } while (total < length && records < RECORDS_MAX);
    return total;
  }

  discard(length: number): number {
    return readAndDrop(this, length);
  }

  write(address: number, length: number): number {
    if (this.isBroken) return Outcome.Failed;
    if (length < this.pendingBytes) throw new RangeError('a blocked write is repeated as it was');
    if (length <= RECORD_BYTES_MAX || !this.isTcp) return this.writeRecords(address, length);
    // OpenSSL writes record by record. Each would be a segment, or some and a part of one, and most of what sending costs
    // is paid by the segment: held back until the last one is there, they are a quarter as many.
    this.cork(1);
    const result = this.writeRecords(address, length);
    this.cork(0);
    return result;
  }

  private cork(is: 0 | 1): void {
    setOption(this.kernel, this.fd, SocketOption.IPPROTO_TCP, SocketOption.TCP_CORK, is);
  }

  private writeRecords(address: number, length: number): number {
    const { openssl, ssl, recordLength } = this;
    const { nowMs } = this.clock;
    let total = 0;
    do {
      const chunk =
        this.pendingBytes > 0 ? this.pendingBytes : recordLength.next(length - total, nowMs);
      const result = openssl.SSL_write(ssl, address + total, chunk);
      if (result <= 0) {
        const outcome = this.writeEnded(result, chunk);
        return total > 0 ? total : outcome;
      }
      this.pendingBytes = 0;
      recordLength.wrote(result);
      total += result;
    } while (total < length);
    recordLength.done(nowMs);
    return total;
  }

  spliceTo(): number {
    this.errno = Errno.EINVAL;
    return Outcome.NotSpliceable;
  }

  sendFile(): number {
    this.errno = Errno.EINVAL;
    return Outcome.NotSpliceable;
  }

  spliceFrom(): number {
    this.errno = Errno.EINVAL;
    return Outcome.NotSpliceable;
  }

  /** How the peer's stream has ended; None while it has not. */
  get ending(): TlsEnding {
    if (this.isFlooded) return TlsEnding.UnexpectedMessage;
    if (this.failure !== undefined) {
      return isReceivedAlert(this.failure) ? TlsEnding.PeerAlert : TlsEnding.BadRecord;
    }
    if (!this.hasReadOutcome) return TlsEnding.None;
    if (this.isTruncated && !this.isPeerGone) return TlsEnding.Truncated;
    return this.readOutcome === Outcome.Eof ? TlsEnding.CloseNotify : TlsEnding.Broken;
  }

  /** close_notify, then FIN; where the socket has no room for the one, both follow when it has. */
  shutdownWrite(): number {
    if (this.sending !== Sending.open) return 0;
    if (this.isBroken) return Outcome.Failed;
    this.sending = Sending.closing;
    return this.sendClose();
  }

  /** Gives back what is OpenSSL's, and says nothing; the socket stays open. */
  release(): void {
    this.free();
  }

  close(): void {
    if (this.sending !== Sending.closed && !this.isBroken) this.openssl.SSL_shutdown(this.ssl);
    this.free();
    this.kernel.close(this.fd);
  }

  reset(): void {
    this.free();
    resetSocket(this.kernel, this.fd);
  }

  /**
   * Whether the socket was empty at some time since this read began: what comes later raises an edge,
   * and another read would find nothing. It was, if the first read(2) from a clean buffer, which asks
   * for more than a record, got less.
   */
  private hasDrained(wasClean: boolean): boolean {
    const bytesRead = this.openssl.BIO_number_read(this.bio);
    const sinceClean = (bytesRead - this.readAtClean) >>> 0;
    this.isClean = true;
    this.readAtClean = bytesRead;
    return wasClean && sinceClean < RECORD_BYTES_MAX && this.isTcp && !this.atEnd;
  }

  /** @param total bytes that were read before: they go first, and the outcome is for the next read */
  private readEnded(result: number, total: number): number {
    const outcome = this.readFailed(result);
    if (outcome === Outcome.Blocked) {
      this.isClean &&= this.openssl.BIO_number_read(this.bio) === this.readAtClean;
      return total > 0 ? total : outcome;
    }
    this.readOutcome = outcome;
    this.hasReadOutcome = true;
    if (total > 0) return total;
    this.readable = false;
    return outcome;
  }

  private refill(bytes: number): void {
    this.bytesToRefill -= bytes;
    if (this.bytesToRefill > 0 || this.messages < 0) return;
    this.bytesToRefill = REFILL_BYTES;
    this.messages = MESSAGES_MAX;
  }

  private readAgain(): number {
    this.readable = false;
    return this.readOutcome;
  }

  private readFailed(result: number): number {
    const { openssl, ssl } = this;
    this.readWantsWrite = false;
    switch (openssl.SSL_get_error(ssl, result)) {
      case SslError.SSL_ERROR_WANT_READ:
        this.readable = false;
        return Outcome.Blocked;
      case SslError.SSL_ERROR_WANT_WRITE:
        // An answer to KeyUpdate that the socket has no room for.
        this.readable = false;
        this.readWantsWrite = true;
        return Outcome.Blocked;
      case SslError.SSL_ERROR_ZERO_RETURN:
        if (this.messages < 0 || isOverdrawn()) return this.flooded();
        this.isTruncated = openssl.BIO_ctrl(this.bio, Misc.BIO_CTRL_EOF, 0, 0) === 1;
        if (!this.isTruncated) return Outcome.Eof;
        if (!this.isPeerGone && openssl.SSL_has_pending(ssl) === 0) return Outcome.Eof;
        return this.socketFailed(Errno.ECONNRESET);
      case SslError.SSL_ERROR_SYSCALL:
        return this.socketFailed(lastErrno());
      default:
        return this.protocolFailed();
    }
  }

  private writeEnded(result: number, chunk: number): number {
    const { openssl, ssl } = this;
    this.writeWantsRead = false;
    switch (openssl.SSL_get_error(ssl, result)) {
      case SslError.SSL_ERROR_WANT_WRITE:
        this.writable = false;
        this.pendingBytes = chunk;
        return Outcome.Blocked;
      case SslError.SSL_ERROR_WANT_READ:
        this.writable = false;
        this.pendingBytes = chunk;
        this.writeWantsRead = true;
        return Outcome.Blocked;
      // How OpenSSL calls every failure once the peer's stream has ended.
      case SslError.SSL_ERROR_ZERO_RETURN:
      case SslError.SSL_ERROR_SYSCALL:
        return this.socketFailed(lastErrno());
      default:
        return this.protocolFailed();
    }
  }

  private sendClose(): number {
    const { openssl, ssl } = this;
    const result = openssl.SSL_shutdown(ssl);
    if (result < 0) {
      const error = openssl.SSL_get_error(ssl, result);
      if (error === SslError.SSL_ERROR_WANT_WRITE) {
        this.writable = false;
        return 0;
      }
      openssl.ERR_clear_error();
      this.isBroken = true;
    }
    this.sending = Sending.closed;
    const shut = this.kernel.shutdown(this.fd, Socket.SHUT_WR);
    if (shut >= 0) return 0;
    this.errno = -shut;
    return Outcome.Failed;
  }

  /** @param errno positive; 0 where OpenSSL has not kept it */
  private socketFailed(errno: number): number {
    this.isBroken = true;
    this.errno = errno === 0 ? Errno.ECONNRESET : errno;
    this.openssl.ERR_clear_error();
    return Outcome.Failed;
  }

  /** More messages than anybody sends: they cost ours more time than the peer. OpenSSL has no call for an alert. */
  private flooded(): number {
    this.isFlooded = true;
    this.isBroken = true;
    this.errno = Errno.EPROTO;
    this.failure = endingFailure(TlsEnding.UnexpectedMessage);
    this.openssl.ERR_clear_error();
    return Outcome.Failed;
  }

  private protocolFailed(): number {
    this.isBroken = true;
    this.errno = Errno.EPROTO;
    const reason = failureOf(this.openssl, this.ssl);
    this.failure ??= isReceivedAlert(reason) ? reason : endingFailure(TlsEnding.BadRecord);
    this.openssl.ERR_clear_error();
    return Outcome.Failed;
  }

  private free(): void {
    this.openssl.ERR_clear_error();
    freeConnection(this.openssl, this.ssl, !this.isBroken);
  }
}
