import { Epoll, formatAddress, PlainTransport, type Transport } from '../splice/index.js';
import { Handshake, HandshakeResult, type TlsSession } from '../tls/index.js';
import { accessLine } from './access-line.js';
import { NO_SOURCE } from './admission.js';
import { type CloseReason, orderlyReasons } from './counters.js';
import { Dial, type DialOwner } from './dial.js';
import type { Task } from './event-loop.js';
import { FlowHead, flowKey } from './flow-head.js';
import { FlowSession } from './flow-session.js';
import { FlowSide, type SideOwner } from './flow-side.js';
import { FlowState, successorBits } from './flow-state.js';
import type { Listener } from './listener.js';
import { sendProxyHeader } from './proxy-sender.js';
import type { WorkerRoom } from './room.js';
import { silenceEndsMs } from './silence.js';
import type { Rejection } from './tcp/index.js';
import { Timer, type TimerOwner } from './timer-wheel.js';
import { TlsSide } from './tls-side.js';
import { type SideName, Tunnel } from './tunnel.js';
import type { Attempts, Upstream } from './upstream/index.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** After one side broke, the other may pause this long in taking the last bytes. */
const LINGER_MS = 500;

/** One client connection and the upstream connection made for it, from accept to close. */
export class Flow implements TimerOwner, Task, DialOwner, SideOwner {
  state: FlowState = FlowState.accepted;
  /** Why the flow ended; settled when it begins to close. */
  closeReason: CloseReason = 'done';
  /** Once it is known where the flow goes. */
  dial: Dial | undefined;
  /** What the stream began with, where the listener looks at that. */
  head: FlowHead | undefined;
  /** Of the client, where the listener terminates TLS. */
  tls: TlsSide | undefined;
  /** The sender of a PROXY header: `clientText` is the client that it spoke of. */
  via: string | undefined;
  /** What its endpoint was told to call it. */
  uniqueId: string | undefined;
  readonly client: FlowSide;
  upstream: FlowSide | undefined;
  /** Once both sides are connected. */
  tunnel: Tunnel | undefined;
  /** Number of the flow in its worker, from 1. */
  readonly sequence: number;
  readonly startedMs: number;
  lastActivityMs: number;
  readonly timer: Timer = new Timer(this);
  private isDeferred = false;

  /**
   * @param clientFd an accepted, non-blocking socket; the flow closes it
   * @param clientText the client's address for the access line, empty where nobody reads it
   * @param source what the listener wants back when the flow ends
   */
  constructor(
    readonly room: WorkerRoom,
    readonly listener: Listener,
    clientFd: number,
    public clientText: string,
    private readonly source = NO_SOURCE,
  ) {
    const transport = new PlainTransport(room.kernel, clientFd, this.isTcp);
    this.client = new FlowSide(room.clock, this, transport, true);
    this.sequence = room.nextFlowSequence();
    this.startedMs = room.clock.nowMs;
    this.lastActivityMs = this.startedMs;
  }

  get session(): FlowSession {
    return new FlowSession(this);
  }

  private get isTcp(): boolean {
    return this.listener.snapshot.family !== 'unix';
  }

  /** Endpoints tried, and the one the flow goes to; nothing before it is known where. */
  get attempts(): Attempts | undefined {
    return this.dial?.attempts;
  }

  /** How long connecting took, milliseconds; −1 before it has. */
  get connectMs(): number {
    return this.dial === undefined ? -1 : this.dial.connectMs;
  }

  /** Starts the flow: it lives on events from here on. */
  begin(): void {
    const { counters } = this.room;
    counters.countAccepted(this.listener.snapshot.index);
    if (this.client.register() < 0) {
      this.terminate('error');
      return;
    }
    const { head, tls, upstream } = this.listener;
    const { fd } = this.client.transport;
    if (tls !== undefined) {
      const handshake = Handshake.accept(this.room, tls.contexts, fd, this.isTcp);
      this.tls = new TlsSide(this.room, 'client', handshake, tls.kernel);
    }
    const expected = head?.expected(this.room.kernel, fd);
    if (expected !== undefined) this.readHead(new FlowHead(head!, expected, this.room.kernel, fd));
    else if (tls !== undefined) this.secure();
    else this.routeTo(upstream);
  }

  onClientEvents(events: number): void {
    this.lastActivityMs = this.room.clock.nowMs;
    switch (this.state) {
      case FlowState.readingHead:
        if (this.head!.advance(events)) this.headRead(events);
        return;
      case FlowState.securing:
        this.shakeHands(events);
        return;
      case FlowState.accepted:
      case FlowState.dialling:
        // A FIN alone is no reason to stop: the client may be one that says all and then listens.
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.pump();
        if ((events & BROKEN_EVENTS) !== 0) this.broken('client');
        return;
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        this.state satisfies never;
    }
  }

  onUpstreamEvents(events: number): void {
    this.lastActivityMs = this.room.clock.nowMs;
    switch (this.state) {
      case FlowState.dialling:
        this.dial!.onEvents(events);
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.pump();
        if ((events & BROKEN_EVENTS) !== 0) this.broken('upstream');
        return;
      case FlowState.accepted:
      case FlowState.readingHead:
      case FlowState.securing:
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        this.state satisfies never;
    }
  }

  /** The run queue's turn: the last one ended on the budget, not for want of bytes. */
  runTask(): void {
    this.isDeferred = false;
    if (this.state !== FlowState.tunnelling && this.state !== FlowState.halfClosed) return;
    this.lastActivityMs = this.room.clock.nowMs;
    this.pump();
  }

  onTimer(): void {
    const { clock, timeouts } = this.room;
    switch (this.state) {
      case FlowState.readingHead:
        this.headDue();
        return;
      case FlowState.securing:
        this.handshakeDue();
        return;
      case FlowState.dialling:
        this.dial!.onTimer();
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed: {
        // Activity only notes the time; the timer is moved here, once per period, not per event.
        const deadlineMs = this.lastActivityMs + timeouts.idleMs;
        const { brokenSide } = this.tunnel!;
        if (brokenSide !== undefined) this.terminate(`${brokenSide}_reset`);
        else if (clock.nowMs >= deadlineMs) this.terminate('idle_timeout');
        else clock.wheel.schedule(this.timer, deadlineMs);
        return;
      }
      case FlowState.accepted:
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        this.state satisfies never;
    }
  }

  onException(error: unknown): void {
    this.room.log.error({ err: error, listener: this.listener.snapshot.name }, 'flow failed');
    this.terminate('error');
  }

  /**
   * The proxy is stopping. What has begun goes on; a client that has not said a word, where one is
   * needed, is waited for no longer than a moment.
   */
  drain(): void {
    if (this.state !== FlowState.readingHead && this.state !== FlowState.securing) return;
    const { clock } = this.room;
    const dueMs = silenceEndsMs(this.startedMs, this.timer.deadlineMs, clock.nowMs);
    clock.wheel.schedule(this.timer, dueMs);
  }

  /** Ends the flow now; with a reset, unless it ends the way both sides expect. */
  terminate(reason: CloseReason): void {
    if (this.state === FlowState.closing || this.state === FlowState.closed) return;
    this.enter(FlowState.closing);
    this.closeReason = reason;
    const { room } = this;
    const isOrderly = this.endsOrderly();
    room.clock.wheel.cancel(this.timer);
    this.tunnel?.release();
    if (room.logsAccess) accessLine(this);
    this.client.close(isOrderly);
    this.upstream?.close(isOrderly);
    this.tls?.end();
    this.dial?.end();
    room.counters.countClosed(this.listener.snapshot.index, reason);
    room.connections.leave();
    this.listener.leave(this.source);
    this.enter(FlowState.closed);
    room.flowEnded(this.listener);
  }

  watch(transport: Transport): number {
    this.upstream = new FlowSide(this.room.clock, this, transport, false);
    return this.upstream.register();
  }

  unwatch(): void {
    this.room.clock.forget(this.upstream!.transport.fd);
    this.upstream = undefined;
  }

  greet(): CloseReason | undefined {
    return sendProxyHeader(this);
  }

  onDialled(): void {
    const { room, client, upstream, dial } = this;
    upstream!.transport = dial!.transport!;
    this.tunnel = new Tunnel(room, client, upstream!, this.tls, dial!.tls);
    // The timer stands at the last deadline and finds its way from there, unless that is too late.
    if (room.timeouts.idleMs < Math.max(room.timeouts.connectMs, room.timeouts.tlsHandshakeMs)) {
      room.clock.wheel.schedule(this.timer, room.clock.nowMs + room.timeouts.idleMs);
    }
    this.enter(FlowState.tunnelling);
    this.pump();
  }

  onDialFailed(reason: CloseReason): void {
    this.terminate(reason);
  }

  private readHead(head: FlowHead): void {
    this.head = head;
    this.enter(FlowState.readingHead);
    const { clock, timeouts } = this.room;
    clock.wheel.schedule(this.timer, clock.nowMs + timeouts.headMs);
    if (this.room.isDraining) this.drain();
  }

  /** The time for the head is up, or the proxy is stopping and the client was silent for a while. */
  private headDue(): void {
    const { clock, timeouts } = this.room;
    const deadlineMs = this.startedMs + timeouts.headMs;
    // What came this very moment counts: its event is not here yet.
    if (clock.nowMs < deadlineMs && this.head!.advance(0)) this.headRead(0);
    else if (clock.nowMs >= deadlineMs) this.rejected('head_timeout');
    else if (this.head!.hasBegun) clock.wheel.schedule(this.timer, deadlineMs);
    else this.terminate('drained');
  }

  /** @param events with which the last of the head came */
  private headRead(events: number): void {
    const { endpoints, upstream } = this.head!;
    if (endpoints !== undefined) {
      if (this.clientText !== '') this.via = this.clientText;
      this.clientText = formatAddress(endpoints.source);
    }
    if (upstream === undefined) {
      this.rejected('head_rejected');
      return;
    }
    this.enter(FlowState.accepted);
    if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
    else if (this.tls !== undefined) this.secure();
    else this.routeTo(this.room.currentUpstream(upstream));
  }

  private secure(): void {
    this.enter(FlowState.securing);
    this.room.clock.wheel.schedule(this.timer, this.tls!.begin());
    this.shakeHands(0);
    if (this.room.isDraining) this.drain();
  }

  /** The time for the handshake is up, or the proxy is stopping and the client was silent for a while. */
  private handshakeDue(): void {
    const { clock } = this.room;
    const tls = this.tls!;
    if (clock.nowMs >= tls.deadlineMs) {
      tls.expire();
      this.terminate('tls_timeout');
      return;
    }
    // As with heads.
    this.shakeHands(0);
    if (this.state !== FlowState.securing) return;
    if (tls.hasBegun) clock.wheel.schedule(this.timer, tls.deadlineMs);
    else this.terminate('drained');
  }

  /** @param events what epoll reported; 0 for a try without an event */
  private shakeHands(events: number): void {
    const tls = this.tls!;
    const result = tls.advance(events);
    if (result === HandshakeResult.Failed) this.terminate('tls_failed');
    if (result !== HandshakeResult.Done) return;
    this.client.transport = tls.transport;
    this.enter(FlowState.accepted);
    this.secured(tls.session!);
  }

  private secured(session: TlsSession): void {
    const target = this.listener.routeBy(session);
    if (typeof target === 'number') {
      this.room.counters.countRejected(this.listener.snapshot.index, -target as Rejection);
      this.terminate('head_rejected');
    } else this.routeTo(target);
  }

  private rejected(reason: 'head_rejected' | 'head_timeout'): void {
    if (reason === 'head_timeout') this.head!.expire();
    this.room.counters.countRejected(this.listener.snapshot.index, this.head!.rejection!);
    this.terminate(reason);
  }

  private routeTo(upstream: Upstream): void {
    const { room, listener, client } = this;
    const disguise = listener.snapshot.transparent ? client.transport.fd : undefined;
    const key = upstream.isKeyed ? flowKey(this) : 0;
    this.dial = new Dial(room, this, upstream, key, disguise);
    this.enter(FlowState.dialling);
    this.dial.begin();
  }

  /** Runs both directions and draws the consequences. */
  private pump(): void {
    const tunnel = this.tunnel!;
    const over = tunnel.run();
    if (over !== undefined) {
      this.terminate(over);
      return;
    }
    if (tunnel.isHalfOver && this.state === FlowState.tunnelling) this.enter(FlowState.halfClosed);
    if (tunnel.isLingering) this.linger();
    if (tunnel.hasYielded && !this.isDeferred) {
      this.isDeferred = true;
      this.room.clock.defer(this);
    }
  }

  private broken(side: SideName): void {
    if (this.state !== FlowState.tunnelling && this.state !== FlowState.halfClosed) return;
    const over = this.tunnel!.reportBroken(side);
    if (over !== undefined) this.terminate(over);
    else if (this.tunnel!.isLingering) this.linger();
  }

  private linger(): void {
    const { clock } = this.room;
    clock.wheel.schedule(this.timer, clock.nowMs + LINGER_MS);
  }

  /** A FIN says “that was all”: after bytes were lost, only a reset tells the truth. */
  private endsOrderly(): boolean {
    if (!orderlyReasons.has(this.closeReason)) return false;
    const { tunnel } = this;
    return tunnel === undefined || (!tunnel.isHolding && tunnel.brokenSide === undefined);
  }

  private enter(state: FlowState): void {
    if ((successorBits[this.state]! & (1 << state)) === 0) {
      throw new Error(`flow: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}
