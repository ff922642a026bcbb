import {
  CongestionControl,
  decodeAddress,
  Epoll,
  Errno,
  errnoName,
  formatAddress,
  hideListener,
  isLoopbackSockaddr,
  Misc,
  NativeMemory,
  resetSocket,
  SockaddrUn,
  Socket,
  type SocketAddress,
} from '../splice/index.js';
import type { ContextsInForce, KernelTls, ServerContexts, TlsSession } from '../tls/index.js';
import { Admission, NO_SOURCE, Verdict } from './admission.js';
import { type CloseReason, Counter } from './counters.js';
import type { EventHandler } from './event-loop.js';
import { Flow } from './flow/index.js';
import type { HeadPolicy } from './head-policy.js';
import { HttpConnection, type HttpGate } from './http/index.js';
import type { Mirror } from './mirror/index.js';
import type { WorkerRoom } from './room.js';
import type { ListenerSnapshot } from './snapshot.js';
import { Timer, type TimerOwner } from './timer-wheel.js';
import type { Upstream } from './upstream/index.js';

const ACCEPT_FLAGS = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
/** Connections taken from one listener before other events get their turn. */
const ACCEPTS_A_TURN_MAX = 64;
/** A listener that retires takes this many turns' worth at most: 65,536, the largest queue there is. */
const RETIRING_TURNS_MAX = 1024;
/** A paused listener tries again this often, besides whenever a flow ends. */
const PAUSE_MS = 100;
/** The reason of a pause is logged at most this often. */
const PAUSE_LOG_MS = 60_000;

const peer = new NativeMemory(SockaddrUn.size);
const peerLength = new NativeMemory(4);

/** How a listener's clients are met by TLS. */
export interface ListenerTls {
  readonly contexts: ServerContexts;
  readonly kernel: KernelTls;
}

/**
 * A listening socket of one worker.
 *
 * ```
 *              no descriptor, few of them, no memory, connection limit
 *   accepting ───────────────────────────────────────────▶ paused
 *       │     ◀───────────────────────────────────────────   │
 *       │           a flow ended, or 100 ms passed           │
 *       └───────────────────▶ closed ◀───────────────────────┘
 * ```
 *
 * On its way to `closed` it may retire: it goes on as it was, but the kernel brings no new clients.
 *
 * It is level-triggered, unlike all other descriptors: an accept4(2) that finds nothing is among the
 * dearest calls here, because the kernel makes a socket before it looks, and level-triggered events
 * make it unnecessary.
 */
export class Listener implements EventHandler, TimerOwner {
  generation = 0;
  private isPaused = false;
  private isClosed = false;
  private isRetiring = false;
  /** It paused so that upstreams find descriptors. */
  private sparesDescriptors = false;
  private pauseLoggedMs = Number.NEGATIVE_INFINITY;
  private readonly resumeTimer = new Timer(this);
  /** Connections to try for at the next event: doubles while they come, back to 1 when they ebb. */
  private appetite = 1;
  private readonly admission: Admission | undefined;
  /** For clients on this machine, where others may come, too. */
  private readonly localCongestion: CongestionControl | undefined;
  /** What TLS begins with for those who have not said a word yet: shared with whoever has the socket next. */
  inForce: ContextsInForce;
  /** Who gets a copy of what clients send; nothing where nobody does, and for HTTP. */
  mirror: Mirror | undefined;

  constructor(
    private readonly room: WorkerRoom,
    readonly snapshot: ListenerSnapshot,
    public upstream: Upstream,
    /** What to read before a connection goes on; nothing where it goes on unseen. */
    public head?: HeadPolicy,
    /** Where TLS ends here. */
    readonly tls?: ListenerTls,
    /** Where requests are served; nothing where bytes are passed on. */
    readonly http?: HttpGate,
  ) {
    // Those who retire go on accepting for a while, whatever the next configuration has.
    tls?.contexts.retain();
    this.inForce = { contexts: tls?.contexts };
    this.admission = snapshot.admission && new Admission(snapshot.admission);
    const { localCongestionControl: name } = snapshot;
    this.localCongestion = name ? new CongestionControl(name) : undefined;
  }

  /** Begins to accept; without memory for the registration, as soon as there is some. */
  open(): void {
    const { clock } = this.room;
    this.isPaused = clock.register(this.snapshot.fd, this.events, this) < 0;
    if (this.isPaused) clock.wheel.schedule(this.resumeTimer, clock.nowMs + PAUSE_MS);
    else clock.wheel.cancel(this.resumeTimer);
  }

  onEvents(): void {
    const accepted = this.acceptUpTo(this.appetite);
    if (accepted === this.appetite) this.appetite = Math.min(this.appetite * 2, ACCEPTS_A_TURN_MAX);
    else this.appetite = Math.max(1, accepted);
  }

  onException(error: unknown): void {
    this.room.log.error({ err: error, listener: this.snapshot.name }, 'accepting failed');
  }

  onTimer(): void {
    this.resume();
  }

  /** Accepts again, if the listener had paused: there may be room now. */
  resume(): void {
    if (!this.isPaused || this.isClosed) return;
    const { clock } = this.room;
    if (this.sparesDescriptors && !this.findsDescriptor()) {
      clock.wheel.schedule(this.resumeTimer, clock.nowMs + PAUSE_MS);
      return;
    }
    this.sparesDescriptors = false;
    this.open();
  }

  /**
   * The routes of a stream whose TLS ends here go by what the handshake was about.
   *
   * @returns where the stream goes, or a negative rejection
   */
  routeBy({ serverName, alpn }: TlsSession): Upstream | number {
    const named = { serverName, alpn: alpn === undefined ? [] : [alpn] };
    return this.head?.routeBy(named) ?? this.upstream;
  }

  /** Gives back what a connection took here. @param source as its flow was given */
  leave(source: number): void {
    this.admission?.leave(source);
  }

  /**
   * Ends accepting so that nobody who was on the way is reset: new clients do not find the socket any
   * more, what is queued is taken, and what is still shaking hands comes.
   *
   * @returns false where the socket could not be hidden, and is closed; else it is to be closed when
   *   handshakes have had their time
   */
  retire(): boolean {
    this.isRetiring = true;
    const { family, isShared, fd } = this.snapshot;
    // A socket that is not ours alone serves others after us.
    const mayHide = family !== 'unix' && !isShared;
    const isHidden = mayHide && hideListener(this.room.kernel, fd) >= 0;
    // Bounded, because without that clients may come as fast as they are accepted.
    for (let turn = 0; turn < RETIRING_TURNS_MAX; turn++) {
      if (this.acceptUpTo(ACCEPTS_A_TURN_MAX) === 0) break;
    }
    if (!isHidden) this.close();
    return isHidden;
  }

  /** Closes the socket. Whom the kernel still has queued it resets. */
  close(): void {
    if (this.isClosed) return;
    this.endAccepting();
    // Closing takes a descriptor out of epoll only if no duplicate is left of it (epoll(7)), and of a
    // shared socket there is: it would go on raising events here.
    if (!this.isPaused) this.room.clock.deregister(this.snapshot.fd);
    this.room.kernel.close(this.snapshot.fd);
  }

  /** Leaves the socket, open and with what is queued, to another listener. */
  handOver(successor: Listener): void {
    successor.inForce = this.inForce;
    this.inForce.contexts = successor.tls?.contexts;
    this.endAccepting();
    if (!this.isPaused) this.room.clock.deregister(this.snapshot.fd);
  }

  private endAccepting(): void {
    this.isClosed = true;
    this.room.clock.wheel.cancel(this.resumeTimer);
    this.tls?.contexts.release();
  }

  /** A socket that all workers share wakes one of them, not all. */
  private get events(): number {
    const { family, isShared } = this.snapshot;
    return family === 'unix' || isShared ? Epoll.EPOLLIN | Epoll.EPOLLEXCLUSIVE : Epoll.EPOLLIN;
  }

  private acceptUpTo(most: number): number {
    for (let accepted = 0; accepted < most; accepted++) {
      if (!this.acceptOne()) return accepted;
    }
    return most;
  }

  private acceptOne(): boolean {
    const { room } = this;
    if (!room.connections.enter()) {
      this.pause(Counter.accept_paused_limit, 'connection limit reached');
      return false;
    }
    if (this.admission?.enter() === false) {
      room.connections.leave();
      this.pause(Counter.accept_paused_limit, 'connection limit of the listener reached');
      return false;
    }
    const fd = this.accept();
    if (fd >= 0) {
      this.admit(fd);
      if (this.http === undefined || this.isRetiring || fd < room.clientDescriptorsEnd) return true;
      // The kernel gives the lowest number that is free.
      this.sparesDescriptors = true;
      this.pause(Counter.accept_paused_descriptors, 'upstreams need the other descriptors');
      return false;
    }
    room.connections.leave();
    this.admission?.leave(NO_SOURCE);
    switch (-fd) {
      case Errno.EAGAIN:
        return false;
      case Errno.ECONNABORTED:
      case Errno.ECONNRESET:
      case Errno.EHOSTDOWN:
      case Errno.EHOSTUNREACH:
      case Errno.ENETDOWN:
      case Errno.ENETUNREACH:
      case Errno.ENOPROTOOPT:
      case Errno.EOPNOTSUPP:
      case Errno.EPERM:
      case Errno.EPROTO:
      case Errno.ETIMEDOUT:
        // The connection died in the queue, or a firewall forbids it (accept(2), "Error handling"):
        // the next one may be well.
        return true;
      default:
        // EMFILE and its like; and what would stay, as EACCES of a security module does.
        if (room.freeDescriptors()) return true;
        this.pause(Counter.accept_paused_descriptors, errnoName(-fd));
        return false;
    }
  }

  /** There is a descriptor for one more client besides those left to upstreams. */
  private findsDescriptor(): boolean {
    const { room } = this;
    return this.isNextForClient() || (room.freeDescriptors() && this.isNextForClient());
  }

  private isNextForClient(): boolean {
    const { kernel, clientDescriptorsEnd } = this.room;
    const fd = kernel.eventfd(0, Misc.EFD_CLOEXEC);
    if (fd < 0) return false;
    kernel.close(fd);
    return fd < clientDescriptorsEnd;
  }

  private admit(fd: number): void {
    const { room, admission } = this;
    let source = NO_SOURCE;
    if (admission?.readsSource) {
      const verdict = admission.decide(peer.bytes);
      if (verdict !== Verdict.Admitted) {
        this.refuse(fd, verdict === Verdict.Denied ? 'denied' : 'source_limit');
        return;
      }
      source = admission.source;
    }
    if (this.localCongestion && isLoopbackSockaddr(peer.bytes)) {
      this.localCongestion.set(room.kernel, fd);
    }
    const session =
      this.http === undefined
        ? new Flow(room, this, fd, room.logsAccess ? formatAddress(peerAddress()) : '', source)
        : new HttpConnection(this.http, this, fd, peerAddress(), source);
    try {
      session.begin();
    } catch (error) {
      session.onException(error);
    }
  }

  private refuse(fd: number, reason: CloseReason): void {
    const { counters, kernel, connections, log } = this.room;
    counters.countAccepted(this.snapshot.index);
    counters.countClosed(this.snapshot.index, reason);
    resetSocket(kernel, fd);
    connections.leave();
    this.leave(NO_SOURCE);
    // An attack must not pay for the text of lines nobody reads.
    if (!log.isLevelEnabled('debug')) return;
    log.debug(
      { listener: this.snapshot.name, client: formatAddress(peerAddress()), reason },
      'refused',
    );
  }

  private accept(): number {
    const { kernel, logsAccess } = this.room;
    // HTTP tells the upstream who it was.
    const asksPeer =
      logsAccess ||
      this.http !== undefined ||
      this.localCongestion !== undefined ||
      this.admission?.readsSource === true;
    if (!asksPeer) return kernel.accept4(this.snapshot.fd, 0, 0, ACCEPT_FLAGS);
    peerLength.bytes.writeInt32LE(SockaddrUn.size, 0);
    return kernel.accept4(this.snapshot.fd, peer.address, peerLength.address, ACCEPT_FLAGS);
  }

  private pause(counter: number, reason: string): void {
    if (this.isPaused) return;
    this.isPaused = true;
    const { clock, counters, log } = this.room;
    counters.values[counter]!++;
    clock.deregister(this.snapshot.fd);
    clock.wheel.schedule(this.resumeTimer, clock.nowMs + PAUSE_MS);
    if (clock.nowMs - this.pauseLoggedMs < PAUSE_LOG_MS) return;
    this.pauseLoggedMs = clock.nowMs;
    const active = counters.activeOf(this.snapshot.index);
    log.warn(
      { listener: this.snapshot.name, reason, active },
      'accepting paused until a connection ends; new ones wait in the kernel',
    );
  }
}

/** Whom accept4(2) has named last. */
function peerAddress(): SocketAddress {
  return decodeAddress(peer.bytes, peerLength.bytes.readInt32LE(0));
}
