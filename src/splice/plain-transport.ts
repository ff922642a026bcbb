import type { LateCloses } from './batch/index.js';
import { Epoll, Misc, Socket, SocketOption, Splice } from './constants.js';
import { readAndDrop } from './discard.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { isSpliceRefusal, type Pipe } from './pipe.js';
import { sendfileAt } from './send-file.js';
import { acknowledge, resetSocket } from './socket.js';
import { setOption } from './stream-options.js';
import { Outcome, type Transport } from './transport.js';
import { requireLength } from './whole-number.js';

const READ_EVENTS =
  Epoll.EPOLLIN | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const WRITE_EVENTS = Epoll.EPOLLOUT | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const BROKEN_EVENTS = Epoll.EPOLLHUP | Epoll.EPOLLERR;

const count = new NativeMemory(4);
const countView = new Int32Array(count.bytes.buffer, 0, 1);

/** A first write of at most this many bytes is one segment on any path (RFC 879: 536). */
const ONE_SEGMENT_BYTES = 536;

/**
 * What a transport has to do about Nagle's algorithm. A connection that makes one small write in its
 * life, a request say, never needs TCP_NODELAY: the algorithm holds nothing back while nothing is
 * in flight (RFC 896). The system call is made when it begins to matter.
 */
export const Nagle = {
  /** TCP_NODELAY is set, or inherited from the listener, or means nothing here. */
  off: 0,
  /** Nothing has been written yet. */
  unused: 1,
  /** One small write was made; the next one might be held back. */
  inFlight: 2,
} as const;
export type Nagle = (typeof Nagle)[keyof typeof Nagle];

/** A stream socket with nothing between its bytes and ours. */
export class PlainTransport implements Transport {
  readable = false;
  writable = false;
  errno = 0;
  readonly isClosing = false;
  hasReadAll = false;
  /** The end of the peer's stream is in the queue: after the bytes before it, there is no more. */
  private atEnd = false;
  /** There may be an error behind the bytes, and only another read tells. */
  private isBroken = false;
  /** Urgent data is in the stream: splice(2) stops in front of it for ever, recv(2) does not. */
  private hasUrgentData = false;
  /** SO_OOBINLINE is set. */
  private keepsUrgentByte = false;
  /** The descriptor for as long as it is ours; −1 afterwards, because its number may be somebody else's. */
  private socket: number;

  /**
   * @param fd a connected (or connecting) non-blocking stream socket; this object closes it
   * @param isTcp what is short is final: a read shorter than asked for has emptied the socket, and a
   *   write that took less has filled it; either way the next change raises an edge. A unix socket
   *   ends a read early after a message with descriptors.
   * @param delaysAcks acknowledgements wait for what is sent ({@link openConnection}): for the time it takes to know
   *   whether that may take long
   */
  constructor(
    private readonly kernel: Kernel,
    readonly fd: number,
    readonly isTcp: boolean,
    private nagle: Nagle = Nagle.off,
    private delaysAcks = false,
  ) {
    this.socket = fd;
  }

  get bulkReadBytes(): number {
    return Number.POSITIVE_INFINITY;
  }

  /** Nothing has been sent over a connection that is new: its peer hears now that it is made. */
  acknowledgeUnlessSent(): void {
    if (this.nagle === Nagle.unused && this.socket >= 0) acknowledge(this.kernel, this.socket);
  }

  notice(events: number): void {
    if ((events & READ_EVENTS) !== 0) this.readable = true;
    if ((events & WRITE_EVENTS) !== 0) this.writable = true;
    if ((events & Epoll.EPOLLRDHUP) !== 0) this.atEnd = true;
    if ((events & BROKEN_EVENTS) !== 0) this.isBroken = true;
    if ((events & Epoll.EPOLLPRI) !== 0) {
      this.hasUrgentData = true;
      if (!this.keepsUrgentByte) this.keepUrgentByte();
    }
  }

  read(address: number, length: number): number {
    requireLength(length);
    if (this.hasReadAll) return this.readEnded(0);
    return this.hasRead(this.kernel.recv(this.socket, address, length, 0), length);
  }

  /**
   * Takes over what a recv(2) answered that was made for this transport. It must have been announced by
   * an event that spoke of bytes only, and not after {@link hasReadAll}.
   * @param length that was asked for
   * @returns as {@link read}
   */
  hasRead(result: number, length: number): number {
    if (result > 0) {
      if (this.delaysAcks) this.acknowledgeUnlessLast();
      if (result < length) this.readShort();
      else if (!this.keepsUrgentByte) this.keepUrgentByte();
      return result;
    }
    return this.readEnded(result);
  }

  discard(length: number): number {
    requireLength(length);
    // Only TCP drops bytes without copying them (MSG_TRUNC, tcp(7)).
    if (!this.isTcp) return readAndDrop(this, length);
    if (this.hasReadAll) return this.readEnded(0);
    const result = this.kernel.recv(this.socket, 0, length, Socket.MSG_TRUNC);
    if (result <= 0) return this.readEnded(result);
    if (this.delaysAcks) this.acknowledgeUnlessLast();
    if (result < length) this.readShort();
    return result;
  }

  write(address: number, length: number, more = false): number {
    requireLength(length);
    if (this.nagle !== Nagle.off) this.beforeWrite(length);
    const flags = more ? Socket.MSG_NOSIGNAL | Socket.MSG_MORE : Socket.MSG_NOSIGNAL;
    return this.hasWritten(this.kernel.send(this.socket, address, length, flags), length);
  }

  /** So many bytes are about to be written by somebody else, who will say what came of it: {@link hasWritten}. */
  expectWrite(length: number): void {
    if (this.nagle !== Nagle.off) this.beforeWrite(length);
  }

  /** Takes over what a send(2) answered that was made for this transport. @returns as {@link write} */
  hasWritten(result: number, length: number): number {
    if (result < 0) return this.writeEnded(result);
    if (result < length && this.isTcp) this.writable = false;
    return result;
  }

  sendFile(file: number, offset: number, length: number): number {
    if (this.nagle !== Nagle.off) this.beforeWrite(length);
    const result = sendfileAt(this.kernel, this.socket, file, offset, length);
    // Short says nothing here, as in spliceFrom: it goes by a pipe of the kernel's own.
    if (result >= 0) return result;
    if (!isSpliceRefusal(-result)) return this.writeEnded(result);
    this.errno = -result;
    return Outcome.NotSpliceable;
  }

  spliceTo(pipe: Pipe, length: number): number {
    requireLength(length);
    if (this.hasReadAll) return this.readEnded(0);
    if (this.hasUrgentData) {
      this.errno = Errno.EINVAL;
      return Outcome.NotSpliceable;
    }
    const flags = Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK;
    const result = this.kernel.splice(this.socket, pipe.writeEnd, length, flags);
    if (result > 0) {
      if (this.delaysAcks) this.acknowledgeUnlessLast();
      pipe.bytes += result;
      if (result < length && !this.atEnd) this.splicedShort();
      return result;
    }
    if (isSpliceRefusal(-result)) {
      this.errno = -result;
      return Outcome.NotSpliceable;
    }
    if (result === 0 && this.isBeforeUrgentByte()) {
      this.errno = Errno.EINVAL;
      return Outcome.NotSpliceable;
    }
    return this.readEnded(result);
  }

  spliceFrom(pipe: Pipe, more: boolean): number {
    if (this.nagle !== Nagle.off) this.beforeWrite(pipe.bytes);
    const flags =
      Splice.SPLICE_F_MOVE | Splice.SPLICE_F_NONBLOCK | (more ? Splice.SPLICE_F_MORE : 0);
    const result = this.kernel.splice(pipe.readEnd, this.socket, pipe.bytes, flags);
    if (result > 0) {
      pipe.bytes -= result;
      // Short says nothing here: a pending signal ends splice(2) early although there is room, and
      // then no edge is ever raised. send(2) does not wait, so it does not notice signals.
      return result;
    }
    if (isSpliceRefusal(-result)) {
      this.errno = -result;
      return Outcome.NotSpliceable;
    }
    // 0 would mean that the pipe has less than we counted into it: bytes are lost, give up.
    return this.writeEnded(result === 0 ? -Errno.EIO : result);
  }

  shutdownWrite(): number {
    const result = this.kernel.shutdown(this.socket, Socket.SHUT_WR);
    if (result >= 0) return 0;
    this.errno = -result;
    return Outcome.Failed;
  }

  close(late?: LateCloses): void {
    if (this.socket < 0) return;
    if (late === undefined || !late.closeLate(this.socket)) this.kernel.close(this.socket);
    this.socket = -1;
  }

  reset(): void {
    if (this.socket < 0) return;
    resetSocket(this.kernel, this.socket);
    this.socket = -1;
  }

  /**
   * A read got less than it asked for. On TCP the queue is empty then: either more will raise an
   * edge, or the end was in the queue and has been reached.
   */
  private readShort(): void {
    if (!this.isTcp || this.hasUrgentData || this.isBroken) return;
    if (this.atEnd) this.hasReadAll = true;
    else this.readable = false;
  }

  /**
   * Short may mean that the pipe ran out of slots before the socket ran out of bytes, and then no
   * edge would ever come: the socket is asked.
   */
  private splicedShort(): void {
    if (this.queuedBytes() === 0) this.readShort();
  }

  /** In front of an urgent byte splice(2) answers 0 once a FIN is behind it: is it really the end? */
  private isBeforeUrgentByte(): boolean {
    if (!this.isTcp) return false;
    if (!this.keepsUrgentByte) this.keepUrgentByte();
    this.hasUrgentData = this.kernel.recv(this.socket, count.address, 1, Socket.MSG_PEEK) > 0;
    return this.hasUrgentData;
  }

  /**
   * recv(2) drops an urgent byte it begins at, unless SO_OOBINLINE says to leave it in its place
   * (tcp(7)). It is said when there is one, and before a read that no event has announced: one that
   * follows a read which filled its buffer.
   */
  private keepUrgentByte(): void {
    this.keepsUrgentByte = true;
    if (!this.isTcp) return;
    setOption(this.kernel, this.socket, SocketOption.SOL_SOCKET, SocketOption.SO_OOBINLINE, 1);
  }

  /** A peer with Nagle's algorithm may wait for that with what it has to say next; one that has said all does not. */
  private acknowledgeUnlessLast(): void {
    this.delaysAcks = false;
    if (!this.atEnd) acknowledge(this.kernel, this.socket);
  }

  private beforeWrite(length: number): void {
    if (this.nagle === Nagle.unused && length <= ONE_SEGMENT_BYTES) {
      this.nagle = Nagle.inFlight;
      return;
    }
    this.nagle = Nagle.off;
    setOption(this.kernel, this.socket, SocketOption.IPPROTO_TCP, SocketOption.TCP_NODELAY, 1);
  }

  /** Bytes in the receive queue (SIOCINQ, tcp(7)); unknown counts as some. */
  private queuedBytes(): number {
    const result = this.kernel.ioctl(this.socket, Misc.FIONREAD, count.address);
    return result < 0 ? 1 : countView[0]!;
  }

  private readEnded(result: number): number {
    this.readable = false;
    if (result === 0) return Outcome.Eof;
    if (result === -Errno.EAGAIN) return Outcome.Blocked;
    this.errno = -result;
    return Outcome.Failed;
  }

  private writeEnded(result: number): number {
    this.writable = false;
    if (result === -Errno.EAGAIN) return Outcome.Blocked;
    this.errno = -result;
    return Outcome.Failed;
  }
}
