import type { Transport } from '../splice/index.js';
import {
  canRenewKernelKeys,
  type Handshake,
  HandshakeResult,
  HandshakeState,
  type KernelTls,
  KernelTlsRefusal,
  TicketOutcome,
  TlsEnding,
  type TlsSession,
  type TlsTransport,
  takeOver,
} from '../tls/index.js';
import type { WorkerRoom } from './room.js';
import type { TlsSideName } from './tls-counters.js';
import type { TlsTrouble } from './upstream/index.js';

/**
 * TLS on one side of a session: the handshake while it goes on, then what it has agreed on. Counts
 * both, for whoever wants a secure connection: a flow of its client, a dial of its upstream.
 */
export class TlsSide {
  /** What was agreed on, once the handshake is done. */
  session: TlsSession | undefined;
  /** Records are the kernel's affair; when the handshake is done. */
  kernelTx = false;
  kernelRx = false;
  /** One of `handshakeFailures`, and what OpenSSL or the kernel had to say; when it has failed. */
  failure: string | undefined;
  detail = '';
  /** When the handshake has to be over, on the loop's clock; once it has begun. */
  deadlineMs = 0;
  private handshake: Handshake | undefined;
  private taken: TlsTransport | undefined;
  /** It waits for its turn, with something to be read perhaps. */
  private isPostponed = false;

  /**
   * @param kernel whether records may or have to be the kernel's
   * @param trouble who wants to hear when TLS fails
   */
  constructor(
    private readonly room: WorkerRoom,
    readonly name: TlsSideName,
    handshake: Handshake,
    readonly kernel: KernelTls,
    private readonly trouble?: TlsTrouble,
  ) {
    this.handshake = handshake;
  }

  /** The time for the handshake begins. @returns when it is up */
  begin(): number {
    const { clock, timeouts } = this.room;
    this.deadlineMs = clock.nowMs + timeouts.tlsHandshakeMs;
    return this.deadlineMs;
  }

  /** The other side has said something, or is waited for no more. */
  get hasBegun(): boolean {
    return this.isPostponed || this.handshake?.state !== HandshakeState.expecting;
  }

  /**
   * Goes on with the handshake, in this turn or a later one. Not to be called after it answered anything but Waiting.
   *
   * @param events what epoll reported; 0 for a try without an event
   */
  advance(events: number): HandshakeResult {
    const { handshakes } = this.room;
    this.isPostponed = !handshakes.admit(this.handshake!.fd, events, this.name);
    if (this.isPostponed) return HandshakeResult.Waiting;
    const beganMs = handshakes.begin();
    const result = this.handshake!.advance(events);
    handshakes.end(beganMs);
    if (result === HandshakeResult.Done) return this.agreed();
    if (result === HandshakeResult.Failed) this.failed();
    return result;
  }

  /** After Done: the connection with its records out of the way, for good. */
  get transport(): Transport {
    return this.taken!;
  }

  /** After Done: what has broken the connection, in a word, other than a reset. */
  get breach(): string | undefined {
    const { taken } = this;
    return taken?.ending === TlsEnding.Broken ? undefined : taken?.failure;
  }

  /** The time is up. */
  expire(): void {
    this.handshake!.expire();
    this.failed();
  }

  /** Gives back what a handshake under way holds; the socket is not its to close. */
  release(): void {
    this.handshake?.release();
    this.handshake = undefined;
  }

  /** When the connection is over: counts how its incoming stream has ended. */
  end(): void {
    this.release();
    if (this.taken === undefined) return;
    const { tls } = this.room.counters;
    const { ending, ticketOutcome, failure } = this.taken;
    tls.countEnding(this.name, ending);
    // A server of TLS 1.3 refuses the client's certificate when the handshake is long over for the client.
    if (ending === TlsEnding.PeerAlert) this.trouble?.tell(failure!, '', this.room.clock.nowMs);
    if (ticketOutcome !== TicketOutcome.NotAwaited) tls.countTickets(this.name, ticketOutcome);
  }

  private agreed(): HandshakeResult {
    const handshake = this.handshake!;
    const { kernel } = this.room;
    const canRenewKeys =
      handshake.kernelTls === KernelTlsRefusal.None && canRenewKernelKeys(kernel);
    const { transport, tx, rx } = takeOver(handshake, this.kernel, canRenewKeys);
    if (transport === undefined) {
      this.failed();
      return HandshakeResult.Failed;
    }
    this.handshake = undefined;
    this.session = handshake.session;
    this.taken = transport;
    this.kernelTx = tx === KernelTlsRefusal.None;
    this.kernelRx = rx === KernelTlsRefusal.None;
    this.room.counters.tls.countHandshake(this.name, this.session!, tx, rx);
    return HandshakeResult.Done;
  }

  private failed(): void {
    const { failure, detail } = this.handshake!;
    this.failure = failure;
    this.detail = detail;
    this.handshake = undefined;
    this.room.counters.tls.countFailure(this.name, failure!);
    this.trouble?.tell(failure!, detail, this.room.clock.nowMs);
  }
}

/**
 * Whether the bytes of a direction pass OpenSSL in userland: they are neither spliced nor simply copied, and
 * counted apart.
 *
 * @param source of the side they come from, where it speaks TLS
 * @param sink of the side they go to
 */
export function isSecurePath(source: TlsSide | undefined, sink: TlsSide | undefined): boolean {
  return source?.kernelRx === false || sink?.kernelTx === false;
}
