import {
  Epoll,
  Errno,
  isSpliceRefusal,
  isWritable,
  type Kernel,
  Outcome,
  type Pipe,
  resetSocket,
  Socket,
  Splice,
  type Transport,
  takeSocketError,
} from '../splice/index.js';
import { Alert, AlertLevel } from './alerts.js';
import type { CipherSuite } from './cipher-suites.js';
import {
  RecordType,
  receiveRecord,
  recordContent,
  recordType,
  sendRecord,
  TlsOption,
} from './control-record.js';
import { DirectionKeys } from './direction-keys.js';
import { installKey } from './kernel-tls.js';
import { HandshakeType, PostHandshake, PostHandshakeEvent } from './post-handshake.js';
import { TlsVersion } from './settings.js';
import { TlsEnding } from './tls-ending.js';

const READ_EVENTS = Epoll.EPOLLIN | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const WRITE_EVENTS = Epoll.EPOLLOUT | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** The most that a record can hold (RFC 8446 §5.1). */
export const RECORD_BYTES_MAX = 16384;
/** Records in a row that carry nothing: alerts, tickets, empty ones. OpenSSL draws the line here, too. */
const USELESS_RECORDS_MAX = 32;
/** What a record takes of a pipe besides its bytes: it may begin and end within a page. */
const PIPE_SLACK_BYTES = 2 * 4096;
/** Room of a pipe that a record is sure to fit in. */
const PIPE_ROOM_BYTES = 2 * RECORD_BYTES_MAX;
/** `ENOTSUPP`, which is not for userland; splice(2) on a control record, before Linux 5.16. */
const ENOTSUPP = 524;

/** Besides {@link Outcome}: the record in the way is gone, try again. */
const GO_ON = 1;

/**
 * A connection whose records are the kernel's affair: plain bytes come out of the socket and go into
 * it. What is not application data is met here. A direction without a key in the kernel must not be
 * used; see {@link SplitTransport}.
 *
 * ```
 *              close_notify              FIN without one
 *   reading ─────────────────▶ CloseNotify    │
 *      │ └──────────────────────────────────▶ Truncated
 *      └─ an alert, a bad record, a message out of place ──▶ PeerAlert, BadRecord, … : Failed
 * ```
 *
 * recv(2) crosses records and stops in front of one of another type without a word, so a short read
 * says nothing of the socket being empty; only EAGAIN does.
 */
export class KernelTlsTransport implements Transport {
  readable = false;
  writable = false;
  errno = 0;
  readonly bulkReadBytes = RECORD_BYTES_MAX;
  /** How reading ended, while it has not: None. */
  ending: TlsEnding = TlsEnding.None;
  /** The alert that ended the connection, the peer's or ours; by RFC 8446 §6. */
  alert = 0;
  /** A close_notify or a fatal alert has been sent: nothing may follow. */
  private hasSaidEnd = false;
  private uselessRecords = 0;
  private messages: PostHandshake | undefined;

  /**
   * @param fd a connected TCP socket with keys in the kernel; this object closes it
   * @param sending and @param receiving their secrets are overwritten when the connection ends
   */
  constructor(
    private readonly kernel: Kernel,
    readonly fd: number,
    private readonly suite: CipherSuite,
    private readonly isServer: boolean,
    private readonly sending = new DirectionKeys(suite),
    private readonly receiving = new DirectionKeys(suite),
  ) {}

  notice(events: number): void {
    if ((events & READ_EVENTS) !== 0) this.readable = true;
    if ((events & WRITE_EVENTS) !== 0) this.writable = true;
  }

  read(address: number, length: number): number {
    for (;;) {
      if (this.ending !== TlsEnding.None) return this.readOver();
      const result = this.kernel.recv(this.fd, address, length, 0);
      if (result > 0) {
        this.uselessRecords = 0;
        return result;
      }
      const outcome = this.afterRead(result);
      if (outcome !== GO_ON) return outcome;
    }
  }

  write(address: number, length: number): number {
    if (this.sending.recordsLeft <= 0) {
      const outcome = this.renewSendKey();
      if (outcome !== GO_ON) return outcome;
    }
    return this.afterWrite(this.kernel.send(this.fd, address, length, Socket.MSG_NOSIGNAL));
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

  spliceFrom(pipe: Pipe, more: boolean): number {
    if (this.sending.recordsLeft <= 0) {
      const outcome = this.renewSendKey();
      if (outcome !== GO_ON) return outcome;
    }
    const flags =
      Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK | (more ? Splice.SPLICE_F_MORE : 0);
    const result = this.kernel.splice(pipe.readEnd, this.fd, pipe.bytes, flags);
    if (isSpliceRefusal(-result)) return this.refuseSplice(-result);
    if (result > 0) pipe.bytes -= result;
    // 0 would mean that the pipe has less than was counted into it: bytes are lost, give up.
    return this.afterWrite(result === 0 ? -Errno.EIO : result);
  }

  /**
   * Sends close_notify, then FIN. The kernel's record layer may hold a record that TCP had no room
   * for, and shutdown(2) knows nothing of it: the FIN would overtake it. While the socket is writable
   * TCP has room for that record, and sendmsg(2) sends it first.
   */
  shutdownWrite(): number {
    if (!this.hasSaidEnd) {
      if (!isWritable(this.kernel, this.fd)) return this.blockedWriting();
      const sent = this.sendAlert(AlertLevel.Warning, Alert.CloseNotify);
      if (sent === -Errno.EAGAIN) return this.blockedWriting();
      if (sent < 0) return this.failed(-sent);
    }
    const result = this.kernel.shutdown(this.fd, Socket.SHUT_WR);
    return result < 0 ? this.failed(-result) : 0;
  }

  close(): void {
    if (!this.hasSaidEnd && isWritable(this.kernel, this.fd))
      this.sendAlert(AlertLevel.Warning, Alert.CloseNotify);
    this.forget();
    this.kernel.close(this.fd);
  }

  reset(): void {
    this.forget();
    resetSocket(this.kernel, this.fd);
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
    this.sayNoMore();
    this.ending = TlsEnding.PeerAlert;
    return this.failed(Errno.EPROTO);
  }

  private takeHandshake(): number {
    const length = receiveRecord(this.kernel, this.fd, 0);
    if (length <= 0) return this.broken(length === 0 ? Errno.EIO : -length);
    this.messages ??= new PostHandshake(this.suite.version, this.isServer);
    for (let at = 0; at < length; at += this.messages.consumed) {
      switch (this.messages.take(recordContent, at, length)) {
        case PostHandshakeEvent.Incomplete:
        case PostHandshakeEvent.Ignored:
          break;
        case PostHandshakeEvent.KeyUpdate:
        case PostHandshakeEvent.KeyUpdateRequested:
          // RFC 8446 §5.1: nothing of the old key comes behind it.
          if (at + this.messages.consumed < length) {
            return this.refuse(TlsEnding.UnexpectedMessage, Alert.UnexpectedMessage);
          }
          return this.renewReceiveKey(recordContent[length - 1] === 1);
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

  /** Kernels before 6.14 answer EBUSY: that ends the connection. */
  private renewReceiveKey(isOursWanted: boolean): number {
    if (!this.install(TlsOption.TLS_RX, this.receiving)) {
      return this.refuse(TlsEnding.KeyUpdate, Alert.InternalError, Errno.EKEYEXPIRED);
    }
    if (!isOursWanted || this.hasSaidEnd) return GO_ON;
    this.sending.recordsLeft = 0;
    return this.renewSendKey() === Outcome.Failed ? Outcome.Failed : GO_ON;
  }

  /** Says that the next key follows, and changes to it. @returns GO_ON, Blocked or Failed */
  private renewSendKey(): number {
    if (this.hasSaidEnd) return this.failedWriting(Errno.EPIPE);
    if (!this.sending.canAdvance) {
      return this.refuse(TlsEnding.KeyWornOut, Alert.InternalError, Errno.EKEYEXPIRED);
    }
    const message = [HandshakeType.KeyUpdate, 0, 0, 1, 0];
    const sent = sendRecord(this.kernel, this.fd, RecordType.Handshake, message);
    if (sent === -Errno.EAGAIN) return this.blockedWriting();
    if (sent < 0) return this.failed(-sent);
    if (this.install(TlsOption.TLS_TX, this.sending)) return GO_ON;
    // The peer expects the next key, so not even an alert can be said.
    this.sayNoMore();
    this.ending = TlsEnding.KeyUpdate;
    return this.failed(Errno.EKEYEXPIRED);
  }

  private install(direction: number, keys: DirectionKeys): boolean {
    const key = keys.advance();
    if (key === undefined) return false;
    return installKey(this.kernel, this.fd, direction, this.suite, key, 0) >= 0;
  }

  private afterWrite(result: number): number {
    if (result > 0) {
      // What a call leaves over has a record of its own.
      this.sending.recordsLeft -= (result >>> 14) + 1;
      return result;
    }
    return result === -Errno.EAGAIN ? this.blockedWriting() : this.failedWriting(-result);
  }

  private readOver(): number {
    this.readable = false;
    return this.ending === TlsEnding.CloseNotify || this.ending === TlsEnding.Truncated
      ? Outcome.Eof
      : Outcome.Failed;
  }

  private over(ending: TlsEnding): number {
    this.ending = ending;
    this.receiving.forget();
    return this.readOver();
  }

  /** Later writes meet a key that is good for no more records. */
  private sayNoMore(): void {
    this.hasSaidEnd = true;
    this.sending.recordsLeft = 0;
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
    if (!this.hasSaidEnd) this.sendAlert(AlertLevel.Fatal, alert);
    this.readable = false;
    return this.failed(errno);
  }

  private sendAlert(level: number, alert: number): number {
    const sent = sendRecord(this.kernel, this.fd, RecordType.Alert, [level, alert]);
    if (sent >= 0) this.sayNoMore();
    return sent;
  }

  private refuseSplice(errno: number): number {
    this.errno = errno;
    return Outcome.NotSpliceable;
  }

  private blockedWriting(): number {
    this.writable = false;
    return Outcome.Blocked;
  }

  private failedWriting(errno: number): number {
    this.writable = false;
    return this.failed(errno);
  }

  private failed(errno: number): number {
    this.errno = errno;
    return Outcome.Failed;
  }

  private forget(): void {
    this.sending.forget();
    this.receiving.forget();
  }
}
