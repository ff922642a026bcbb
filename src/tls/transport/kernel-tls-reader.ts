import {
  Epoll,
  Errno,
  isSpliceRefusal,
  type Kernel,
  Outcome,
  type Pipe,
  Socket,
  Splice,
  takeSocketError,
} from '../../splice/index.js';
import {
  installKey,
  receiveRecord,
  recordContent,
  recordType,
  TlsOption,
} from '../kernel/index.js';
import { receivedAlert } from '../openssl/index.js';
import {
  Alert,
  AlertLevel,
  type CipherSuite,
  type DirectionKeys,
  HandshakeType,
  PostHandshake,
  PostHandshakeEvent,
  RECORD_BYTES_MAX,
  RecordType,
  TlsVersion,
} from '../protocol/index.js';
import { type TicketIntake, TicketOutcome } from '../sessions/index.js';
import { TlsEnding } from './tls-ending.js';
import type { ReadingHalf } from './tls-halves.js';

const READ_EVENTS = Epoll.EPOLLIN | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** Records in a row that carry nothing: alerts, tickets, empty ones. OpenSSL draws the line here, too. */
const USELESS_RECORDS_MAX = 32;
/** What a record takes of a pipe besides its bytes: it may begin and end within a page. */
const PIPE_SLACK_BYTES = 2 * 4096;
/** Room of a pipe that a record is sure to fit in. */
const PIPE_ROOM_BYTES = 2 * RECORD_BYTES_MAX;
/** `ENOTSUPP`, which is not for userland; splice(2) at a control record, before Linux 5.16. */
const ENOTSUPP = 524;

/** Besides {@link Outcome}: the record in the way is gone, try again. */
const GO_ON = 1;

/** Who answers to what is read. */
export interface Answering {
  /** Sends a fatal alert, if any alert may still be sent. */
  alert(description: number): void;
  /** The peer has sent a fatal alert. */
  silence(): void;
  /** Changes to the next sending key. @returns 0, Blocked or Failed */
  renewKey(): number;
}

/**
 * The receiving direction of a connection whose key the kernel has: plain bytes come out of the
 * socket, and what is not application data is met here.
 *
 * ```
 *   reading ──close_notify──▶ CloseNotify            Eof
 *      ├─────a FIN without────▶ Truncated             Eof
 *      └─────an alert, a bad record, a message out of place ──▶ PeerAlert, BadRecord, … : Failed
 * ```
 *
 * recv(2) crosses records and stops in front of one of another type without a word, so a short read
 * says nothing of the socket being empty; only EAGAIN does.
 */
export class KernelTlsReader implements ReadingHalf {
  readable = true;
  errno = 0;
  readonly bulkReadBytes = RECORD_BYTES_MAX;
  ending: TlsEnding = TlsEnding.None;
  /** The alert that ended the connection, the peer's or ours. */
  alert = 0;
  private uselessRecords = 0;
  private messages: PostHandshake | undefined;

  /**
   * @param keys its secret is overwritten by {@link release}
   * @param tickets given the session tickets that come, and released; without it they are passed over
   */
  constructor(
    private readonly kernel: Kernel,
    private readonly fd: number,
    private readonly suite: CipherSuite,
    private readonly isServer: boolean,
    private readonly keys: DirectionKeys,
    private readonly answering: Answering,
    private readonly tickets?: TicketIntake,
  ) {}

  get ticketOutcome(): TicketOutcome {
    return this.tickets?.outcome ?? TicketOutcome.NotAwaited;
  }

  get failure(): string | undefined {
    return this.ending === TlsEnding.PeerAlert ? receivedAlert(this.alert) : undefined;
  }

  notice(events: number): void {
    if ((events & READ_EVENTS) !== 0) this.readable = true;
  }

  read(address: number, length: number): number {
    for (;;) {
      if (this.ending !== TlsEnding.None) return this.readOver();
      const result = this.kernel.recv(this.fd, address, length, 0);
      if (result > 0) {
        this.uselessRecords = 0;
        this.tickets?.pass();
        return result;
      }
      const outcome = this.afterRead(result);
      if (outcome !== GO_ON) return outcome;
    }
  }

  /**
   * A splice gives one record at most, so several are made. Each of them must fit: what does not is
   * lost in some kernels (5.17 on, net/tls/tls_sw.c, tls_sw_splice_read).
   */
  spliceTo(pipe: Pipe, length: number): number {
    let room = pipe.capacityBytes;
    if (room < PIPE_ROOM_BYTES) return this.refuseSplice(Errno.EINVAL);
    const flags = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;
    let moved = 0;
    while (moved < length && room >= PIPE_ROOM_BYTES) {
      if (this.ending !== TlsEnding.None) return moved > 0 ? moved : this.readOver();
      const result = this.kernel.splice(this.fd, pipe.writeEnd, length - moved, flags);
      if (result > 0) {
        this.uselessRecords = 0;
        this.tickets?.pass();
        moved += result;
        pipe.bytes += result;
        room -= result + PIPE_SLACK_BYTES;
        continue;
      }
      if (isSpliceRefusal(-result) && result !== -Errno.EINVAL) {
        return moved > 0 ? moved : this.refuseSplice(-result);
      }
      // EAGAIN: there was room, so it is the socket that is empty. An error is told once only.
      const outcome = this.afterRead(result);
      if (outcome !== GO_ON) return moved > 0 ? this.movedBefore(moved, outcome) : outcome;
    }
    return moved;
  }

  release(): void {
    this.keys.forget();
    this.tickets?.release();
  }

  /** The bytes come first, and what ended reading behind them is told at the next call. */
  private movedBefore(moved: number, outcome: number): number {
    if (outcome !== Outcome.Blocked) this.readable = true;
    return moved;
  }

  /** recv(2) or splice(2) gave no bytes: why? @returns an outcome, or GO_ON */
  private afterRead(result: number): number {
    switch (-result) {
      case Errno.EAGAIN:
        this.readable = false;
        return Outcome.Blocked;
      // Something that is not application data (EIO from recv, the others from splice), the end, or
      // an empty record: to splice(2) that is 0 as well.
      case 0:
      case Errno.EIO:
      case Errno.EINVAL:
      case ENOTSUPP:
        return this.meetRecord(result);
      default:
        return this.broken(-result);
    }
  }

  private meetRecord(result: number): number {
    const peeked = receiveRecord(this.kernel, this.fd, Socket.MSG_PEEK, 1);
    if (peeked === -Errno.EAGAIN)
      return result === 0 ? this.afterRead(peeked) : this.broken(-result);
    if (peeked === 0) return this.over(TlsEnding.Truncated);
    if (peeked < 0) return this.broken(-peeked);
    if (++this.uselessRecords > USELESS_RECORDS_MAX) {
      return this.refuse(TlsEnding.UnexpectedMessage, Alert.UnexpectedMessage);
    }
    switch (recordType()) {
      case RecordType.ApplicationData:
        return result === 0 || result === -Errno.EIO ? GO_ON : this.refuseSplice(-result);
      case RecordType.Alert:
        return this.takeAlert();
      case RecordType.Handshake:
        return this.takeHandshake();
      default:
        return this.refuse(TlsEnding.UnexpectedMessage, Alert.UnexpectedMessage);
    }
  }

  private takeAlert(): number {
    const length = receiveRecord(this.kernel, this.fd, 0, 2);
    if (length !== 2) return this.refuse(TlsEnding.BadRecord, Alert.DecodeError);
    const [level, description] = recordContent;
    if (description === Alert.CloseNotify) return this.over(TlsEnding.CloseNotify);
    // RFC 8446 §6: the level means nothing any more, and only user_canceled ends nothing by itself.
    const isHarmless =
      this.suite.version === TlsVersion.Tls13
        ? description === Alert.UserCanceled
        : level === AlertLevel.Warning;
    if (isHarmless) return GO_ON;
    this.alert = description!;
    this.answering.silence();
    this.ending = TlsEnding.PeerAlert;
    return this.failed(Errno.EPROTO);
  }

  private takeHandshake(): number {
    const length = receiveRecord(this.kernel, this.fd, 0);
    if (length <= 0) return this.broken(length === 0 ? Errno.EIO : -length);
    this.messages ??= new PostHandshake(this.suite.version, this.isServer);
    for (let at = 0; at < length; at += this.messages.consumed) {
      const event = this.messages.take(recordContent, at, length);
      switch (event) {
        case PostHandshakeEvent.Incomplete:
          this.takeTicket(at, false);
          // A long ticket comes in many parts; how long, has a limit of its own.
          if (length === recordContent.length) this.uselessRecords--;
          break;
        case PostHandshakeEvent.Ignored:
          this.takeTicket(at, true);
          break;
        case PostHandshakeEvent.KeyUpdate:
        case PostHandshakeEvent.KeyUpdateRequested:
          // RFC 8446 §5.1: nothing of the old key comes behind it.
          if (at + this.messages.consumed < length) {
            return this.refuse(TlsEnding.UnexpectedMessage, Alert.UnexpectedMessage);
          }
          return this.renewKey(recordContent[length - 1] === 1);
        case PostHandshakeEvent.Unexpected:
          return this.refuse(
            TlsEnding.UnexpectedMessage,
            this.suite.version === TlsVersion.Tls12
              ? Alert.NoRenegotiation
              : Alert.UnexpectedMessage,
          );
        case PostHandshakeEvent.Malformed:
          return this.refuse(TlsEnding.BadRecord, Alert.DecodeError);
      }
    }
    return GO_ON;
  }

  /** What `messages` has found at `start` is a ticket, perhaps, or a part of one. */
  private takeTicket(start: number, isWhole: boolean): void {
    const { type, consumed } = this.messages!;
    if (type !== HandshakeType.NewSessionTicket) return;
    this.tickets?.take(recordContent, start, start + consumed, isWhole);
  }

  /** Kernels before 6.14 answer EBUSY: that ends the connection. */
  private renewKey(isOursWanted: boolean): number {
    const { kernel, fd, suite } = this;
    const key = this.keys.advance();
    if (key === undefined || installKey(kernel, fd, TlsOption.TLS_RX, suite, key, 0) < 0) {
      return this.refuse(TlsEnding.KeyUpdate, Alert.InternalError, Errno.EKEYEXPIRED);
    }
    // Should ours fail, the next write will say so.
    if (isOursWanted) this.answering.renewKey();
    return GO_ON;
  }

  private readOver(): number {
    this.readable = false;
    return this.ending === TlsEnding.CloseNotify || this.ending === TlsEnding.Truncated
      ? Outcome.Eof
      : Outcome.Failed;
  }

  private over(ending: TlsEnding): number {
    this.ending = ending;
    this.keys.forget();
    return this.readOver();
  }

  /** The stream is damaged, or the connection is. */
  private broken(errno: number): number {
    switch (errno) {
      case Errno.EBADMSG:
        return this.refuse(TlsEnding.BadRecord, Alert.BadRecordMac, errno);
      case Errno.EMSGSIZE:
        return this.refuse(TlsEnding.BadRecord, Alert.RecordOverflow, errno);
      case Errno.EINVAL:
        return this.refuse(TlsEnding.BadRecord, Alert.DecodeError, errno);
      default:
        this.ending = TlsEnding.Broken;
        this.readable = false;
        return this.failed(errno);
    }
  }

  /** Ends the connection with an alert of our own. */
  private refuse(ending: TlsEnding, alert: number, errno: number = Errno.EPROTO): number {
    this.ending = ending;
    this.alert = alert;
    // The error that ended reading stays on the socket and would end the next call of any kind.
    takeSocketError(this.kernel, this.fd);
    this.answering.alert(alert);
    this.readable = false;
    return this.failed(errno);
  }

  private refuseSplice(errno: number): number {
    this.errno = errno;
    return Outcome.NotSpliceable;
  }

  private failed(errno: number): number {
    this.errno = errno;
    return Outcome.Failed;
  }
}
