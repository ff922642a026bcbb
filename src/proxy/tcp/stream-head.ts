import { Epoll, Errno, type Kernel, Socket, takeSocketError } from '../../splice/index.js';
import { ClientHello, parseClientHello } from './client-hello.js';
import type { HeadMemory } from './head-memory.js';
import { alertFor, PARTIAL, Rejection } from './head-rejection.js';
import { ProxyHeader } from './proxy-header.js';
import { parseProxyHeader } from './proxy-protocol.js';
import { type Alert, sendAlert } from './tls-alert.js';

/**
 * What is read of a stream before it has an upstream, in order. A stream begins with the first part
 * that is expected.
 *
 * ```
 *                         ┌───────────────────────┐
 *                         │                       ▼
 *   proxyHeader ──▶ proxyRest ──▶ clientHello ──▶ done
 *        │              │              │           │
 *        └──────────────┴──────────────┴───────────┴──▶ rejected
 *          malformed, ended, reset, too late         no route
 * ```
 */
export const HeadState = {
  /** A PROXY header is peeked at; none of it has been taken. */
  proxyHeader: 0,
  /** The PROXY header is known, and not all of its bytes have been taken out of the socket. */
  proxyRest: 1,
  /** The socket stands at the ClientHello, which is peeked at and stays where it is. */
  clientHello: 2,
  /** All that was expected is known; the socket's next byte is the first one for the upstream. */
  done: 3,
  /** The stream cannot be served: `rejection` says why. */
  rejected: 4,
} as const;
export type HeadState = (typeof HeadState)[keyof typeof HeadState];

/** States that may follow each state. */
const successors: Readonly<Record<HeadState, readonly HeadState[]>> = {
  [HeadState.proxyHeader]: [HeadState.proxyRest, HeadState.rejected],
  [HeadState.proxyRest]: [HeadState.clientHello, HeadState.done, HeadState.rejected],
  [HeadState.clientHello]: [HeadState.done, HeadState.rejected],
  [HeadState.done]: [HeadState.rejected],
  [HeadState.rejected]: [],
};

/** What {@link HeadReader.advance} answers. */
export const HeadResult = {
  /** The head is not whole; more of it raises an edge, and so does its end. */
  NeedMore: 0,
  Done: 1,
  Rejected: 2,
} as const;
export type HeadResult = (typeof HeadResult)[keyof typeof HeadResult];

/** Which heads a listener's streams begin with. */
export interface ExpectedHead {
  readonly proxyHeader: boolean;
  readonly clientHello: boolean;
}

const END_EVENTS = Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
/** After these, what the socket shows is all it will ever show. */
const LAST_EVENTS = END_EVENTS | Epoll.EPOLLPRI;
const READ_EVENTS = LAST_EVENTS | Epoll.EPOLLIN;

/** Reads made to empty the socket in front of an alert: twice the longest head. */
const DRAIN_READS_MAX = 2;

/**
 * Reads the head of one stream from its socket: a PROXY header is taken out, to the byte; a ClientHello
 * is peeked at and left. So whoever reads next, pump or splice(2), finds the stream as the client
 * sent it.
 *
 * Made for edge-triggered epoll. Peeking never empties the socket, but each arriving segment raises
 * an edge all the same, so NeedMore just waits; the reader never has to be called without an event.
 * Behind a partial head recv(2) answers the same before and after a FIN, an RST or an urgent byte: only
 * the events tell, which is why it is given them.
 */
export class HeadReader {
  state: HeadState;
  /** Set once the PROXY header is known. */
  proxyHeader: ProxyHeader | undefined;
  /** Set once the ClientHello is known. */
  clientHello: ClientHello | undefined;
  /** Why the stream was rejected, and what to tell the client, if anything. */
  rejection: Rejection | undefined;
  alert: Alert | undefined;
  /** Error number behind `head_reset` and `head_failed`, positive. */
  errno = 0;

  private readonly header = new ProxyHeader();
  private readonly hello = new ClientHello();
  /** A partial head cannot be whole before the socket has so many bytes; 0 before the first of them. */
  private wantedBytes = 0;
  /** In `proxyRest`: bytes of the PROXY header still in the socket. */
  private restBytes = 0;

  constructor(
    private readonly memory: HeadMemory,
    private readonly expected: ExpectedHead,
  ) {
    this.state = expected.proxyHeader ? HeadState.proxyHeader : this.afterProxyHeader();
  }

  /** A part of the head has come. */
  get hasBegun(): boolean {
    return this.wantedBytes > 0 || this.proxyHeader !== undefined;
  }

  /**
   * Reads as much of the head as there is.
   *
   * @param fd a connected, non-blocking stream socket
   * @param events what epoll reported; 0 for a try without an event, right after accept(2) say
   * @returns NeedMore until the head is whole; Done, with the results in `proxyHeader` and
   *   `clientHello`; Rejected, with the reason in `rejection`. The last two are final.
   */
  advance(kernel: Kernel, fd: number, events: number): HeadResult {
    // A new socket's first event often says no more than that it can be written to.
    const isReadable = events === 0 || (events & READ_EVENTS) !== 0;
    switch (this.state) {
      case HeadState.proxyHeader:
        return isReadable ? this.readProxyHeader(kernel, fd, events) : HeadResult.NeedMore;
      case HeadState.proxyRest:
        return isReadable ? this.takeProxyRest(kernel, fd, events, 0) : HeadResult.NeedMore;
      case HeadState.clientHello:
        return isReadable ? this.readClientHello(kernel, fd, events) : HeadResult.NeedMore;
      case HeadState.done:
        return HeadResult.Done;
      case HeadState.rejected:
        return HeadResult.Rejected;
      default:
        return assertNever(this.state);
    }
  }

  /** Rejects a stream whose head was not whole in time. */
  expire(): void {
    const isTls = this.state === HeadState.clientHello && this.wantedBytes > 0;
    this.reject(Rejection.head_timeout);
    if (!isTls) this.alert = undefined;
  }

  /** Rejects a stream after Done: the head was whole, and led nowhere (see ServerNames.find). */
  refuse(rejection: Rejection): void {
    this.reject(rejection);
  }

  /**
   * Tells the client of a rejected stream why, if there are words for it. The caller then closes the
   * socket in good order; without an alert, it may as well reset it.
   */
  dismiss(kernel: Kernel, fd: number): void {
    if (this.alert === undefined) return;
    // close(2) answers unread bytes with an RST, and that takes the alert out of the client's hands.
    const { address, byteLength } = this.memory;
    for (let reads = 0; reads < DRAIN_READS_MAX; reads++) {
      if (kernel.recv(fd, address, byteLength, 0) < byteLength) break;
    }
    sendAlert(kernel, fd, this.alert);
  }

  private readProxyHeader(kernel: Kernel, fd: number, events: number): HeadResult {
    const memory = this.memory;
    const header = this.header;
    const peeked = this.peek(kernel, fd, events);
    if (peeked <= 0) return this.nothingRead(peeked);
    const result = parseProxyHeader(memory.bytes, 0, peeked, header, memory.proxyHeaderBytesMax);
    if (result < 0) return this.reject(-result as Rejection);
    if (result === PARTIAL) return this.wait(kernel, fd, events, header.wantedBytes);
    this.proxyHeader = header;
    this.restBytes = result;
    this.wantedBytes = 0;
    this.enter(HeadState.proxyRest);
    return this.takeProxyRest(kernel, fd, events, peeked);
  }

  /** @param peeked bytes in memory, the header's first; 0 when they have to be looked at again */
  private takeProxyRest(kernel: Kernel, fd: number, events: number, peeked: number): HeadResult {
    const helloAt = this.restBytes;
    while (this.restBytes > 0) {
      // Never beyond the header's place in memory: what was peeked behind it stays.
      const taken = kernel.recv(fd, this.memory.address, this.restBytes, 0);
      if (taken <= 0) return this.nothingRead(taken);
      this.restBytes -= taken;
    }
    this.enter(this.afterProxyHeader());
    if (this.state === HeadState.done) return HeadResult.Done;
    return peeked > helloAt
      ? this.parseHello(kernel, fd, events, helloAt, peeked)
      : this.readClientHello(kernel, fd, events);
  }

  private readClientHello(kernel: Kernel, fd: number, events: number): HeadResult {
    const peeked = this.peek(kernel, fd, events);
    return peeked <= 0 ? this.nothingRead(peeked) : this.parseHello(kernel, fd, events, 0, peeked);
  }

  private parseHello(
    kernel: Kernel,
    fd: number,
    events: number,
    start: number,
    end: number,
  ): HeadResult {
    const hello = this.hello;
    const result = parseClientHello(this.memory.bytes, start, end, hello);
    if (result < 0) return this.reject(-result as Rejection);
    if (result === PARTIAL) return this.wait(kernel, fd, events, hello.wantedBytes);
    this.clientHello = hello;
    this.enter(HeadState.done);
    return HeadResult.Done;
  }

  /**
   * Looks at the socket, if there can be an answer: a head that comes in a thousand segments is not
   * parsed a thousand times.
   * @returns bytes, 0 at the end of the stream, or a negative error number
   */
  private peek(kernel: Kernel, fd: number, events: number): number {
    const { memory, wantedBytes } = this;
    const isWorthWhile =
      wantedBytes === 0 ||
      (events & LAST_EVENTS) !== 0 ||
      memory.queuedBytes(kernel, fd) >= wantedBytes;
    if (!isWorthWhile) return -Errno.EAGAIN;
    // Behind a PROXY header alone may come anything, and any amount of it.
    const length = this.expected.clientHello ? memory.byteLength : memory.proxyHeaderBytesMax;
    return kernel.recv(fd, memory.address, length, Socket.MSG_PEEK);
  }

  /** Bytes of the head are there, and not all. */
  private wait(kernel: Kernel, fd: number, events: number, wantedBytes: number): HeadResult {
    if ((events & Epoll.EPOLLERR) !== 0) return this.broken(takeSocketError(kernel, fd));
    if ((events & END_EVENTS) !== 0) return this.reject(Rejection.head_truncated);
    if ((events & Epoll.EPOLLPRI) !== 0) return this.reject(Rejection.head_urgent);
    this.wantedBytes = wantedBytes;
    return HeadResult.NeedMore;
  }

  /** @param result 0 at the end of the stream, or a negative error number */
  private nothingRead(result: number): HeadResult {
    if (result === -Errno.EAGAIN) return HeadResult.NeedMore;
    if (result < 0) return this.broken(-result);
    const isInside = this.state === HeadState.proxyRest;
    return this.reject(isInside ? Rejection.head_truncated : Rejection.head_empty);
  }

  private broken(errno: number): HeadResult {
    this.errno = errno;
    const isReset = errno === Errno.ECONNRESET || errno === Errno.EPIPE;
    return this.reject(isReset ? Rejection.head_reset : Rejection.head_failed);
  }

  private reject(rejection: Rejection): HeadResult {
    this.enter(HeadState.rejected);
    this.rejection = rejection;
    this.alert = alertFor(rejection);
    return HeadResult.Rejected;
  }

  private afterProxyHeader(): HeadState {
    return this.expected.clientHello ? HeadState.clientHello : HeadState.done;
  }

  private enter(state: HeadState): void {
    if (!successors[this.state].includes(state)) {
      throw new Error(`stream head: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}

function assertNever(state: never): never {
  throw new Error(`stream head: no such state: ${state}`);
}
