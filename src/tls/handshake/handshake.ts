import {
  type Clock,
  Epoll,
  Errno,
  errnoName,
  type Kernel,
  NativeMemory,
  Socket,
  SocketOption,
  setOption,
} from '../../splice/index.js';
import type { ClientContext, ContextsInForce, ServerContexts } from '../contexts/index.js';
import { attachKernelTls, KernelTlsRefusal } from '../kernel/index.js';
import {
  CallbackAnswer,
  type Caller,
  failureOf,
  freeConnection,
  type HandshakeFailure,
  lastErrno,
  type OpenSsl,
  SslError,
  shakeHands,
  takeReason,
} from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';
import type { SessionSlot } from '../sessions/index.js';
import { UserlandTlsTransport } from '../transport/index.js';
import { answerPlainHttp, drainSocket } from './dismissal.js';
import { FIRST_BYTES_MAX, FirstBytes, recogniseStream } from './first-bytes.js';
import { HandshakeResult, HandshakeState } from './handshake-state.js';
import { describeSession, type TlsSession } from './tls-session.js';
import { TrafficSecrets } from './traffic-secrets.js';

/** What all TLS connections of a worker share. */
export interface TlsRoom {
  readonly kernel: Kernel;
  readonly clock: Clock;
}

/** One record takes so many bytes at most, expansion included (RFC 8446 §5.2, RFC 5246 §6.2.3). */
const RECORD_BYTES_MAX = 5 + 16384 + 2048;

/** One of `handshakeFailures`. */
const NO_NAME = 'verify_failed:name_mismatch';

const READ_EVENTS = Epoll.EPOLLIN | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const WRITE_EVENTS = Epoll.EPOLLOUT | Epoll.EPOLLHUP | Epoll.EPOLLERR;

const first = new NativeMemory(FIRST_BYTES_MAX);

/**
 * The handshake of one connection, either side of it, on its non-blocking socket. It belongs to the
 * worker's thread, and the socket stays the caller's until {@link takeOver}.
 */
export class Handshake implements Caller {
  state: HandshakeState = HandshakeState.expecting;
  /** After Failed. */
  failure: HandshakeFailure | undefined;
  /** After Failed, for people: OpenSSL's words, or the kernel's error. */
  detail = '';
  /** After Done. */
  session: TlsSession | undefined;
  /** OpenSSL's connection (SSL *) while the handshake has it; 0 otherwise. */
  ssl = 0;
  /** What the kernel's keys are made from; only where contexts are for the kernel. */
  secrets: TrafficSecrets | undefined;
  /**
   * Records that were written under the application's traffic keys: the session tickets of a TLS 1.3
   * server. −1 where it cannot be told.
   */
  ticketRecords = 0;
  /** Whether the kernel could have the records; only where contexts are for the kernel. */
  kernelTls: KernelTlsRefusal = KernelTlsRefusal.NoModule;

  readonly openssl: OpenSsl;
  private isReadable = true;
  private isWritable = true;
  private wantsToWrite = false;
  private hasEnded = false;
  /** The handshake is done, and the connection was reset meanwhile. */
  private isPeerGone = false;
  /** Bytes written before the ticket. */
  private writtenBefore = 0;

  private constructor(
    private readonly room: TlsRoom,
    private contexts: ServerContexts | ClientContext,
    private server: ServerContexts | undefined,
    /** The socket; the caller's until {@link takeOver}. */
    readonly fd: number,
    readonly isTcp: boolean,
    /** Where sessions are put aside for the next connections; of a client. */
    readonly sessionSlot: SessionSlot | undefined,
    private readonly inForce?: ContextsInForce,
  ) {
    this.openssl = contexts.openssl;
    contexts.retain();
  }

  /**
   * The server's side. Nothing is done until {@link advance}.
   *
   * @param fd a connected, non-blocking stream socket at the first byte of TLS
   * @param isTcp see PlainTransport
   * @param inForce where a client that was silent until then finds what a reload has brought meanwhile
   */
  static accept(
    room: TlsRoom,
    contexts: ServerContexts,
    fd: number,
    isTcp: boolean,
    inForce?: ContextsInForce,
  ): Handshake {
    return new Handshake(room, contexts, contexts, fd, isTcp, undefined, inForce);
  }

  /**
   * The client's side. Nothing is done until {@link advance}.
   *
   * @param host the name that led to the endpoint, or its IP address: what its certificate is for, where no name is configured
   * @param endpoint what tells the servers of an upstream apart, for the sessions to resume
   */
  static connect(
    room: TlsRoom,
    context: ClientContext,
    fd: number,
    isTcp: boolean,
    host: string,
    endpoint: string,
  ): Handshake {
    const slot = context.sessionSlot(endpoint, host);
    // A client writes twice in a row at its end of the handshake: Nagle's algorithm would wait.
    const { IPPROTO_TCP, TCP_NODELAY } = SocketOption;
    if (isTcp) setOption(room.kernel, fd, IPPROTO_TCP, TCP_NODELAY, 1);
    const handshake = new Handshake(room, context, undefined, fd, isTcp, slot);
    if (!handshake.open(context.address)) return handshake;
    slot.offer(handshake.ssl);
    if (!context.prepare(handshake.ssl, host)) {
      handshake.fail(NO_NAME, 'there is no name to compare the certificate with');
    }
    return handshake;
  }

  /**
   * Goes on as far as it goes.
   *
   * @param events what epoll reported; 0 for a try without an event
   * @returns Waiting, Done or Failed. The last two are final.
   */
  advance(events: number): HandshakeResult {
    this.notice(events);
    switch (this.state) {
      case HandshakeState.expecting:
        return this.isReadable ? this.recognise() : HandshakeResult.Waiting;
      case HandshakeState.shaking:
        return this.shake();
      case HandshakeState.done:
        return HandshakeResult.Done;
      case HandshakeState.over:
        return this.failure === undefined ? HandshakeResult.Done : HandshakeResult.Failed;
      default:
        return assertNever(this.state);
    }
  }

  get isServer(): boolean {
    return this.server !== undefined;
  }

  get kernel(): Kernel {
    return this.room.kernel;
  }

  /** The time is up. */
  expire(): void {
    this.fail('timeout', '');
  }

  /** Kernel TLS was required and there is none: a handshake that is done fails after all. */
  refuse(detail: string): void {
    this.fail('kernel_tls_unavailable', detail);
  }

  /**
   * After Done: the connection goes on with OpenSSL. The transport has the socket and all that was
   * OpenSSL's; the secrets, if there are any, are overwritten.
   */
  takeOver(): UserlandTlsTransport {
    const ssl = this.surrender();
    const asked = this.sessionSlot === undefined ? undefined : this;
    const readsAhead = !this.contexts.forKernel;
    const { room, openssl, fd, isTcp } = this;
    const transport = new UserlandTlsTransport(room, openssl, ssl, fd, isTcp, readsAhead, asked);
    transport.isPeerGone = this.isPeerGone;
    return transport;
  }

  /** After Done: gives up OpenSSL's connection, the caller's to free, and gives back all else. */
  surrender(): number {
    const { ssl } = this;
    if (this.state !== HandshakeState.done) throw new Error('the handshake is not done');
    this.ssl = 0;
    this.release();
    return ssl;
  }

  /** Gives back all that is held here. The socket is the caller's to close. */
  release(): void {
    if (this.state === HandshakeState.over) return;
    const isDone = this.state === HandshakeState.done;
    this.state = HandshakeState.over;
    if (this.ssl !== 0) freeConnection(this.openssl, this.ssl, isDone);
    this.ssl = 0;
    this.secrets?.release();
    this.secrets = undefined;
    this.contexts.release();
  }

  private notice(events: number): void {
    if (events === 0 || (events & READ_EVENTS) !== 0) this.isReadable = true;
    if (events === 0 || (events & WRITE_EVENTS) !== 0) this.isWritable = true;
    if ((events & (Epoll.EPOLLRDHUP | Epoll.EPOLLHUP)) !== 0) this.hasEnded = true;
  }

  /** Looks at the first bytes: OpenSSL is not troubled with what is not TLS. */
  private recognise(): HandshakeResult {
    const { kernel } = this.room;
    const peeked = kernel.recv(this.fd, first.address, FIRST_BYTES_MAX, Socket.MSG_PEEK);
    if (peeked === -Errno.EAGAIN) {
      this.isReadable = false;
      return HandshakeResult.Waiting;
    }
    if (peeked < 0) return this.broken(-peeked);
    if (peeked === 0) return this.fail('eof', '');
    switch (recogniseStream(first.bytes, peeked)) {
      case FirstBytes.Handshake:
        this.server = this.server!.renewed(this.inForce);
        this.contexts = this.server;
        return this.open(this.server.initial) ? this.shake() : HandshakeResult.Failed;
      case FirstBytes.PlainHttp:
        return this.fail('plain_http', '');
      case FirstBytes.Sslv2Hello:
        return this.fail('unsupported_version', 'SSL 2.0');
      case FirstBytes.Partial:
        // Peeking leaves the bytes where they are: the next ones raise an edge.
        return this.hasEnded ? this.fail('not_tls', '') : HandshakeResult.Waiting;
      default:
        return this.fail('not_tls', '');
    }
  }

  /** @returns false when OpenSSL has no memory for it: the handshake has failed */
  private open(context: number): boolean {
    const { openssl } = this;
    openssl.ERR_clear_error();
    this.ssl = openssl.SSL_new(context);
    if (this.ssl === 0 || openssl.SSL_set_fd(this.ssl, this.fd) !== 1) {
      this.fail('internal_error', takeReason(openssl));
      return false;
    }
    if (this.server === undefined) openssl.SSL_set_connect_state(this.ssl);
    else openssl.SSL_set_accept_state(this.ssl);
    if (this.contexts.forKernel) this.prepareKernel();
    this.state = HandshakeState.shaking;
    return true;
  }

  /**
   * Puts the kernel's record layer under the handshake, whose bytes pass it unchanged: once the peer
   * has finished sending, as one with a short request may have when the handshake is done, the kernel
   * refuses it (tls_init).
   */
  private prepareKernel(): void {
    this.kernelTls = this.isTcp
      ? attachKernelTls(this.room.kernel, this.fd)
      : KernelTlsRefusal.NotTcp;
    this.secrets = new TrafficSecrets();
  }

  private shake(): HandshakeResult {
    if (!(this.wantsToWrite ? this.isWritable : this.isReadable)) return HandshakeResult.Waiting;
    const { openssl, ssl } = this;
    const result = shakeHands(openssl, ssl, this);
    if (result === 1) return this.agree(lastErrno());
    switch (openssl.SSL_get_error(ssl, result)) {
      case SslError.SSL_ERROR_WANT_READ:
        this.isReadable = false;
        this.wantsToWrite = false;
        return HandshakeResult.Waiting;
      case SslError.SSL_ERROR_WANT_WRITE:
        this.isWritable = false;
        this.wantsToWrite = true;
        return HandshakeResult.Waiting;
      case SslError.SSL_ERROR_ZERO_RETURN:
        return this.fail('eof', '');
      case SslError.SSL_ERROR_SYSCALL:
        return this.broken(lastErrno());
      default:
        return this.fail(failureOf(openssl, ssl), takeReason(openssl));
    }
  }

  /** @param errno what the last system call under OpenSSL has left */
  private agree(errno: number): HandshakeResult {
    if (errno === Errno.ECONNRESET) this.reset();
    this.session = describeSession(this.openssl, this.ssl);
    const { server, contexts } = this;
    if (server !== undefined && contexts.forKernel && this.session.version === TlsVersion.Tls13) {
      const bytes = (this.writtenBytes() - this.writtenBefore) >>> 0;
      if (bytes > 0) this.ticketRecords = bytes > RECORD_BYTES_MAX ? -1 : 1;
    }
    this.keepRenewedTicket();
    this.state = HandshakeState.done;
    return HandshakeResult.Done;
  }

  /**
   * The ticket met a reset. OpenSSL takes it off the socket and says nothing, so that what the client sent can be
   * read (ossl_statem_server_post_work); the end behind that would look like a FIN. EPIPE would mean that there was one.
   */
  private reset(): void {
    this.isPeerGone = true;
    this.kernelTls = KernelTlsRefusal.Closed;
  }

  /** OpenSSL reports new sessions; that a resumed one of TLS 1.2 got another ticket it does not. */
  private keepRenewedTicket(): void {
    const { version, isResumed } = this.session!;
    if (this.sessionSlot === undefined || !isResumed || version !== TlsVersion.Tls12) return;
    const session = this.openssl.SSL_get1_session(this.ssl);
    if (!this.sessionSlot.keep(session)) this.openssl.SSL_SESSION_free(session);
  }

  private writtenBytes(): number {
    return this.openssl.BIO_number_written(this.openssl.SSL_get_rbio(this.ssl));
  }

  /** @param errno positive */
  private broken(errno: number): HandshakeResult {
    const isReset = errno === Errno.ECONNRESET || errno === Errno.EPIPE;
    return this.fail(isReset ? 'reset' : 'internal_error', errnoName(errno));
  }

  private fail(failure: HandshakeFailure, detail: string): HandshakeResult {
    if (this.state === HandshakeState.over) return HandshakeResult.Failed;
    this.failure = failure;
    this.detail = detail;
    this.openssl.ERR_clear_error();
    this.release();
    const { kernel } = this.room;
    if (failure === 'plain_http') answerPlainHttp(kernel, this.fd);
    if (failure !== 'timeout' && failure !== 'reset') drainSocket(kernel, this.fd);
    return HandshakeResult.Failed;
  }

  onServerName(ssl: number): number {
    return this.server!.onServerName(ssl);
  }

  onAlpn(out: number, outLength: number, offered: number, offeredBytes: number): number {
    return this.server!.onAlpn(out, outLength, offered, offeredBytes);
  }

  onStatusRequest(ssl: number): number {
    return this.server?.onStatusRequest(ssl) ?? CallbackAnswer.SSL_TLSEXT_ERR_NOACK;
  }

  onTicket(
    ssl: number,
    name: number,
    iv: number,
    cipher: number,
    mac: number,
    isWriting: boolean,
  ): number {
    return this.server!.onTicket(ssl, name, iv, cipher, mac, isWriting);
  }

  onTicketSession(ssl: number, session: number, status: number): number {
    return this.server!.onTicketSession(ssl, session, status);
  }

  onSecret(line: number): void {
    if (this.secrets === undefined) return;
    this.secrets.capture(this.openssl, line);
    // The last secret that a server of TLS 1.3 learns is the client's, by its Finished, which answers
    // to all that was written before. One call may do all that, and write the ticket.
    if (this.server !== undefined) this.writtenBefore = this.writtenBytes();
  }

  onNewSession(session: number): boolean {
    return this.sessionSlot?.keep(session) ?? false;
  }
}

function assertNever(state: never): never {
  throw new Error(`handshake: no such state: ${state}`);
}
