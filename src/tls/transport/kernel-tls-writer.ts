import {
  Epoll,
  Errno,
  isSpliceRefusal,
  isWritable,
  type Kernel,
  Outcome,
  type Pipe,
  Socket,
  Splice,
  sendfileAt,
} from '../../splice/index.js';
import { installKey, sendRecord, TlsOption } from '../kernel/index.js';
import {
  Alert,
  AlertLevel,
  type CipherSuite,
  type DirectionKeys,
  HandshakeType,
  RecordType,
} from '../protocol/index.js';
import { TlsEnding } from './tls-ending.js';
import type { WritingHalf } from './tls-halves.js';

const WRITE_EVENTS = Epoll.EPOLLOUT | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/**
 * The sending direction of a connection whose key the kernel has.
 *
 * ```
 *   open ──▶ closing ──▶ said
 *     │         close_notify waits for room in the socket
 *     └── a fatal alert, either side's ──▶ said: nothing may follow
 * ```
 */
export class KernelTlsWriter implements WritingHalf {
  writable = true;
  errno = 0;
  isClosing = false;
  /** Why nothing more can be sent: None, KeyUpdate or KeyWornOut. */
  ending: TlsEnding = TlsEnding.None;
  private hasSaidEnd = false;

  /** @param keys its secret is overwritten by {@link release} */
  constructor(
    private readonly kernel: Kernel,
    private readonly fd: number,
    private readonly suite: CipherSuite,
    private readonly keys: DirectionKeys,
  ) {}

  notice(events: number): void {
    if ((events & WRITE_EVENTS) === 0) return;
    this.writable = true;
    if (this.isClosing) this.sayEnd();
  }

  write(address: number, length: number, more = false): number {
    if (this.keys.recordsLeft <= 0) {
      const outcome = this.renewKey();
      if (outcome !== 0) return outcome;
    }
    const flags = more ? Socket.MSG_NOSIGNAL | Socket.MSG_MORE : Socket.MSG_NOSIGNAL;
    return this.afterWrite(this.kernel.send(this.fd, address, length, flags));
  }

  sendFile(file: number, offset: number, length: number): number {
    if (this.keys.recordsLeft <= 0) {
      const outcome = this.renewKey();
      if (outcome !== 0) return outcome;
    }
    const result = sendfileAt(this.kernel, this.fd, file, offset, length);
    if (result === 0) return Outcome.Eof;
    if (!isSpliceRefusal(-result)) return this.afterWrite(result);
    this.errno = -result;
    return Outcome.NotSpliceable;
  }

  spliceFrom(pipe: Pipe, more: boolean): number {
    if (this.keys.recordsLeft <= 0) {
      const outcome = this.renewKey();
      if (outcome !== 0) return outcome;
    }
    const flags =
      Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK | (more ? Splice.SPLICE_F_MORE : 0);
    const result = this.kernel.splice(pipe.readEnd, this.fd, pipe.bytes, flags);
    if (isSpliceRefusal(-result)) {
      this.errno = -result;
      return Outcome.NotSpliceable;
    }
    if (result > 0) pipe.bytes -= result;
    // 0 would mean that the pipe has less than was counted into it: bytes are lost, give up.
    return this.afterWrite(result === 0 ? -Errno.EIO : result);
  }

  shutdownWrite(): number {
    this.isClosing = true;
    return this.sayEnd();
  }

  /** Says close_notify if it can be said at once. */
  end(): void {
    if (!this.hasSaidEnd && isWritable(this.kernel, this.fd)) {
      this.say(AlertLevel.Warning, Alert.CloseNotify);
    }
  }

  /** Sends a fatal alert, if any alert may still be sent. */
  alert(description: number): void {
    if (!this.hasSaidEnd) this.say(AlertLevel.Fatal, description);
  }

  /** The peer has sent a fatal alert: it is not listening any more. */
  silence(): void {
    this.hasSaidEnd = true;
    this.keys.recordsLeft = 0;
  }

  /**
   * Says that the next key follows, and changes to it (RFC 8446 §4.6.3).
   * @returns 0, also when it has to wait until the socket has room; Blocked or Failed
   */
  renewKey(): number {
    if (this.hasSaidEnd) return this.failedWriting(Errno.EPIPE);
    if (!this.keys.canAdvance) {
      this.ending = TlsEnding.KeyWornOut;
      this.alert(Alert.InternalError);
      return this.failedWriting(Errno.EKEYEXPIRED);
    }
    this.keys.recordsLeft = 0;
    const message = [HandshakeType.KeyUpdate, 0, 0, 1, 0];
    const sent = sendRecord(this.kernel, this.fd, RecordType.Handshake, message);
    if (sent === -Errno.EAGAIN) return this.blocked();
    if (sent < 0) return this.failedWriting(-sent);
    const key = this.keys.advance()!;
    const result = installKey(this.kernel, this.fd, TlsOption.TLS_TX, this.suite, key, 0);
    if (result >= 0) return 0;
    // The peer expects the next key, so not even an alert can be said.
    this.silence();
    this.ending = TlsEnding.KeyUpdate;
    return this.failedWriting(Errno.EKEYEXPIRED);
  }

  release(): void {
    this.keys.forget();
  }

  /**
   * close_notify, then FIN. The kernel's record layer may hold a record that TCP had no room for, and
   * shutdown(2) knows nothing of it: the FIN would overtake it, and the record would be lost. While the
   * socket is writable TCP has room for that record, and sendmsg(2) sends it first.
   */
  private sayEnd(): number {
    if (!this.hasSaidEnd) {
      if (!isWritable(this.kernel, this.fd)) return this.postpone();
      const sent = this.say(AlertLevel.Warning, Alert.CloseNotify);
      if (sent === -Errno.EAGAIN) return this.postpone();
      if (sent < 0) {
        this.isClosing = false;
        return this.failedWriting(-sent);
      }
    }
    this.isClosing = false;
    const result = this.kernel.shutdown(this.fd, Socket.SHUT_WR);
    return result < 0 ? this.failedWriting(-result) : 0;
  }

  private postpone(): number {
    this.writable = false;
    return 0;
  }

  private say(level: number, description: number): number {
    const sent = sendRecord(this.kernel, this.fd, RecordType.Alert, [level, description]);
    if (sent >= 0) this.silence();
    return sent;
  }

  private afterWrite(result: number): number {
    if (result > 0) {
      // What a call leaves over of whole records has a record of its own.
      this.keys.recordsLeft -= (result >>> 14) + 1;
      return result;
    }
    return result === -Errno.EAGAIN ? this.blocked() : this.failedWriting(-result);
  }

  private blocked(): number {
    this.writable = false;
    return Outcome.Blocked;
  }

  private failedWriting(errno: number): number {
    this.writable = false;
    this.errno = errno;
    return Outcome.Failed;
  }
}
