import {
  Epoll,
  Errno,
  Nagle,
  PlainTransport,
  type Transport,
  takeSocketError,
} from '../splice/index.js';
import { Handshake, HandshakeResult } from '../tls/index.js';
import { isPassing } from './connect-failure.js';
import { type CloseReason, Counter } from './counters.js';
import type { WorkerRoom } from './room.js';
import { TlsSide } from './tls-side.js';
import {
  Attempts,
  type Endpoint,
  openEndpointSocket,
  Selection,
  type Upstream,
  type UpstreamTls,
  type Waiter,
} from './upstream/index.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** A connection that could not even be tried, for want of a descriptor, is tried again so often. */
const RETRY_MS = 50;

/**
 * How far a connection to an upstream has come.
 *
 * ```
 *             every endpoint is full
 *   queued ◀─────────────────────────▶ choosing ──▶ connecting ──▶ securing ──▶ connected ──▶ over
 *      │                                  │ ▲           │   └── no TLS ──┼──────────▲           ▲
 *      │                                  │ └───────────┴───────────────┤                      │
 *      │                                  │       no luck: try again    │                      │
 *      └──────────────────────────────────┴─────────────────────────────┴──────────────────────┘
 *                         nobody left to try, too late, or given up
 * ```
 */
export const DialState = {
  /** An endpoint is to be chosen, at once or when there are descriptors again. */
  choosing: 0,
  /** Every endpoint has as many connections as it may: waiting for a place. */
  queued: 1,
  /** connect(2) is under way. */
  connecting: 2,
  /** The TLS handshake goes on; only where the upstream speaks TLS. */
  securing: 3,
  /** The connection belongs to the owner; the place at the endpoint is held until {@link Dial.end}. */
  connected: 4,
  /** Nothing is held any more. */
  over: 5,
} as const;
export type DialState = (typeof DialState)[keyof typeof DialState];

/** Who wants a connection to an upstream. */
export interface DialOwner {
  /** How long an endpoint may take to accept a connection. */
  readonly connectTimeoutMs: number;
  /** The owner's timer is the dial's from `begin` until it has answered: its expiry is for `onTimer`. */
  schedule(deadlineMs: number): void;
  /** Passes the events of this connection on to `onEvents`. @returns 0, or a negative error number */
  watch(transport: Transport): number;
  /** The connection came to nothing and is about to be closed. */
  unwatch(): void;
  /** Whether there is a connection to this endpoint already: then nothing is dialled, and it is the owner's. */
  reuse?(endpoint: Endpoint): boolean;
  /** Connected: says what has to come before anything else. @returns why that cannot be */
  greet(): CloseReason | undefined;
  /** The connection may carry bytes. */
  onDialled(): void;
  /** There will be none. */
  onDialFailed(reason: CloseReason): void;
  onException(error: unknown): void;
}

/**
 * The making of one connection to an upstream: chooses an endpoint, waits for a place where all are
 * full, connects, and tries others within `timeouts.connect` while there are any.
 */
export class Dial implements Waiter {
  state: DialState = DialState.choosing;
  readonly attempts: Attempts;
  /** The connection being made, or made; with TLS it is another one from `connected` on. */
  transport: Transport | undefined;
  /** Of the connection being made, or made, where the upstream speaks TLS. */
  tls: TlsSide | undefined;
  /** How long the last connect(2) took; −1 before one has succeeded. */
  connectMs = -1;
  private connectStartedMs = 0;
  /** Choosing goes on until the connect timeout after this. */
  private startedMs: number;

  /**
   * @param key what `Upstream.select` wants
   * @param clientFd the client whose address endpoints are to see; nothing for that of this machine
   */
  constructor(
    private readonly room: WorkerRoom,
    private readonly owner: DialOwner,
    upstream: Upstream,
    key: number,
    private clientFd?: number,
  ) {
    this.attempts = new Attempts(upstream, key);
    this.startedMs = room.clock.nowMs;
  }

  begin(): void {
    this.choose();
  }

  /** Begins anew, after {@link end}, for something else that goes somewhere. @param key as for the constructor */
  again(upstream: Upstream, key: number, clientFd?: number): void {
    this.clientFd = clientFd;
    this.state = DialState.choosing;
    this.attempts.again(upstream, key);
    this.transport = undefined;
    this.tls = undefined;
    this.connectMs = -1;
    this.startedMs = this.room.clock.nowMs;
    this.choose();
  }

  /**
   * What was reused turned out dead: connects anew to the same endpoint, whose place is still held; or to another, where
   * that one was taken away meanwhile.
   */
  reconnect(): void {
    const { attempts } = this;
    this.transport = undefined;
    this.startedMs = this.room.clock.nowMs;
    this.keepUp();
    if (attempts.isEndpointKept) {
      this.open(attempts.endpoint!);
      return;
    }
    attempts.release();
    this.state = DialState.choosing;
    this.choose();
  }

  /** The endpoint did not do: tries another one. @returns false when there is none to try */
  another(): boolean {
    const { attempts } = this;
    this.transport = undefined;
    attempts.passOver();
    this.keepUp();
    if (!attempts.mayContinue) return false;
    this.state = DialState.choosing;
    this.startedMs = this.room.clock.nowMs;
    this.choose();
    return true;
  }

  /** @param events of the connection being made */
  onEvents(events: number): void {
    if (this.state === DialState.securing) {
      this.shakeHands(events);
      return;
    }
    if (this.state !== DialState.connecting) return;
    if ((events & BROKEN_EVENTS) !== 0) {
      const errno = takeSocketError(this.room.kernel, this.transport!.fd);
      this.failed(errno === 0 ? Errno.ECONNRESET : errno);
    } else if ((events & Epoll.EPOLLOUT) !== 0) {
      this.connected();
    }
  }

  /** The owner's timer went off while the dial had it. */
  onTimer(): void {
    const { clock } = this.room;
    switch (this.state) {
      case DialState.choosing:
        if (clock.nowMs >= this.startedMs + this.owner.connectTimeoutMs)
          this.giveUp('connect_timeout');
        else this.choose();
        return;
      case DialState.queued:
        this.giveUp('queue_timeout');
        return;
      case DialState.connecting:
        this.failed(Errno.ETIMEDOUT);
        return;
      case DialState.securing:
        this.tls!.expire();
        this.tlsFailed();
        return;
      case DialState.connected:
      case DialState.over:
        return;
    }
  }

  /** The queue's call: there may be a place at an endpoint. */
  onEndpointFree(): void {
    const selection = this.attempts.next();
    if (selection === Selection.Full) return;
    this.state = DialState.choosing;
    this.connectTo(selection);
  }

  onException(error: unknown): void {
    this.owner.onException(error);
  }

  /**
   * The upstream is replaced: what is not connected yet goes on there. A connection being made to an
   * endpoint that is not part of it any more is given up, and nothing held against the endpoint.
   */
  moveTo(upstream: Upstream): void {
    const { attempts } = this;
    const isOnTheWay = this.state === DialState.connecting || this.state === DialState.securing;
    if (!attempts.moveTo(upstream)) this.giveUp('queue_full');
    else if (isOnTheWay && !attempts.isEndpointKept) {
      this.tls?.release();
      this.tls = undefined;
      this.abandon();
      attempts.release();
      this.choose();
    }
  }

  /** Gives back the place at the endpoint or in the queue; the connection is the owner's to close. */
  end(): void {
    this.state = DialState.over;
    this.tls?.end();
    this.attempts.end();
  }

  /** The upstream may have been replaced while the owner had its connection. */
  private keepUp(): void {
    const { attempts } = this;
    const current = this.room.currentUpstream(attempts.upstream);
    if (current !== attempts.upstream) attempts.moveTo(current);
  }

  private choose(): void {
    const selection = this.attempts.next();
    if (selection === Selection.Full) this.queue();
    else this.connectTo(selection);
  }

  private queue(): void {
    const { attempts, owner } = this;
    if (!attempts.wait(this)) {
      this.giveUp('queue_full');
      return;
    }
    this.state = DialState.queued;
    owner.schedule(this.room.clock.nowMs + attempts.upstream.queueTimeoutMs);
  }

  private connectTo(endpoint: Endpoint | typeof Selection.None): void {
    if (endpoint === Selection.None) {
      this.giveUp(this.attempts.failure);
      return;
    }
    if (this.owner.reuse?.(endpoint)) {
      this.state = DialState.connected;
      this.owner.onDialled();
      return;
    }
    this.open(endpoint);
  }

  private open(endpoint: Endpoint): void {
    const { room, owner } = this;
    this.connectStartedMs = room.clock.nowMs;
    owner.schedule(this.connectStartedMs + owner.connectTimeoutMs);
    room.counters.values[Counter.connect_attempts]!++;
    const { isTcp } = endpoint;
    // In a handshake of TLS the endpoint's next segments may wait for an acknowledgement, and nothing is sent between them.
    const delaysAcks = isTcp && this.attempts.upstream.tls === undefined;
    const { kernel } = room;
    const fd = openEndpointSocket(room, endpoint, delaysAcks, this.clientFd);
    if (fd < 0) {
      this.failed(-fd);
      return;
    }
    const nagle = isTcp ? Nagle.unused : Nagle.off;
    this.transport = new PlainTransport(kernel, fd, isTcp, nagle, delaysAcks);
    this.state = DialState.connecting;
    if (owner.watch(this.transport) < 0) owner.onDialFailed('error');
  }

  private connected(): void {
    const { room, owner, attempts } = this;
    this.connectMs = room.clock.nowMs - this.connectStartedMs;
    room.counters.countConnected(this.connectMs);
    const failure = owner.greet();
    if (failure !== undefined) owner.onDialFailed(failure);
    else if (attempts.upstream.tls === undefined) this.doneInTheClear();
    else this.secure(attempts.upstream.tls);
  }

  private doneInTheClear(): void {
    const transport = this.transport as PlainTransport;
    this.done();
    // The endpoint may be the one to speak first, and it has not even heard that it is connected.
    transport.acknowledgeUnlessSent();
  }

  private secure({ context, kernel }: UpstreamTls): void {
    const { room, owner, transport } = this;
    // Its upstream was taken away by a reload: with it went the context.
    if (context.isReleased) {
      owner.onDialFailed('no_endpoint');
      return;
    }
    const { host, text, isTcp, tlsTrouble } = this.attempts.endpoint!;
    const handshake = Handshake.connect(room, context, transport!.fd, isTcp, host, text);
    this.tls = new TlsSide(room, 'upstream', handshake, kernel, tlsTrouble);
    this.state = DialState.securing;
    owner.schedule(this.tls.begin());
    this.shakeHands(0);
  }

  /** @param events what epoll reported; 0 for a try without an event */
  private shakeHands(events: number): void {
    const tls = this.tls!;
    switch (tls.advance(events)) {
      case HandshakeResult.Waiting:
        return;
      case HandshakeResult.Done:
        this.transport = tls.transport;
        this.done();
        return;
      case HandshakeResult.Failed:
        this.tlsFailed();
        return;
    }
  }

  private done(): void {
    this.attempts.connected();
    this.state = DialState.connected;
    // The timer stays at the last deadline, where the owner may find it or move it.
    this.owner.onDialled();
  }

  /** An endpoint with which TLS fails is as good as one that cannot be connected to. */
  private tlsFailed(): void {
    this.failed(Errno.EPROTO);
  }

  /** @param errno positive */
  private failed(errno: number): void {
    const { room, attempts, owner } = this;
    room.counters.values[Counter.connect_failures]!++;
    this.abandon();
    if (isPassing(errno)) {
      attempts.upstream.sayUntried(attempts.endpoint!, errno);
      attempts.release();
      owner.schedule(room.clock.nowMs + RETRY_MS);
      return;
    }
    attempts.failed(errno);
    if (attempts.mayContinue) this.choose();
    else this.giveUp(attempts.failure);
  }

  /** Closes the connection being made, if there is one. */
  private abandon(): void {
    this.state = DialState.choosing;
    if (this.transport === undefined) return;
    this.owner.unwatch();
    this.transport.close();
    this.transport = undefined;
  }

  private giveUp(reason: CloseReason): void {
    this.owner.onDialFailed(reason);
  }
}
