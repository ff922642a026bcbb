import { Errno, type Kernel, NativeMemory, resetSocket, Socket } from '../../splice/index.js';
import type { Message } from './message.js';

/** Where everything that is heard goes: all that counts is how it ends. */
const sink = new NativeMemory(64 * 1024);
const TAIL_BYTES = 5;

/**
 * One end of a connection to the worker of a warm-up, client or endpoint. It is no handler of the loop, which
 * should know those of production and no others: it gets its turn by {@link work}.
 */
export class Peer {
  /** The last bytes it has heard, at most so many as anybody asks for. */
  tail = '';
  /** The other side has said all it will, or has reset the connection. */
  hasHeardAll = false;
  isClosed = false;
  private current: Message | undefined;
  private sentBytes = 0;

  /** @param fd a non-blocking stream socket, closed at the end by {@link leave} or {@link reset} */
  constructor(
    private readonly kernel: Kernel,
    private readonly fd: number,
  ) {}

  /** Says something, as fast as it is taken; nothing else may be left to say. */
  say(message: Message): void {
    this.current = message;
    this.sentBytes = 0;
    this.tail = '';
    this.work();
  }

  /** Goes on sending and receiving as far as that goes now. */
  work(): void {
    if (this.isClosed) return;
    this.send();
    this.receive();
  }

  /** Has said all it will. */
  finish(): void {
    this.kernel.shutdown(this.fd, Socket.SHUT_WR);
  }

  leave(): void {
    if (!this.isClosed) this.kernel.close(this.fd);
    this.isClosed = true;
  }

  reset(): void {
    if (!this.isClosed) resetSocket(this.kernel, this.fd);
    this.isClosed = true;
  }

  private send(): void {
    while (this.current !== undefined) {
      const { address, byteLength } = this.current;
      const left = byteLength - this.sentBytes;
      const sent = this.kernel.send(
        this.fd,
        address + this.sentBytes,
        left,
        Socket.MSG_NOSIGNAL | Socket.MSG_DONTWAIT,
      );
      if (sent < 0) {
        if (sent !== -Errno.EAGAIN) this.current = undefined;
        return;
      }
      this.sentBytes += sent;
      if (sent === left) this.current = undefined;
    }
  }

  private receive(): void {
    while (!this.hasHeardAll) {
      const { address, byteLength, bytes } = sink;
      const length = this.kernel.recv(this.fd, address, byteLength, Socket.MSG_DONTWAIT);
      if (length === -Errno.EAGAIN) return;
      if (length <= 0) {
        this.hasHeardAll = true;
        return;
      }
      const end = bytes.toString('latin1', Math.max(0, length - TAIL_BYTES), length);
      this.tail = (this.tail + end).slice(-TAIL_BYTES);
    }
  }
}
