import { Epoll, PlainTransport, type Transport } from '../../splice/index.js';
import { NO_SOURCE } from '../admission.js';
import { CapturedTransport, captureNote, FlowCapture } from '../capture/index.js';
import { type CloseReason, orderlyReasons } from '../counters.js';
import { Dial, type DialOwner } from '../dial.js';
import type { Listener } from '../listener.js';
import { type FlowShadow, followFlow } from '../mirror/index.js';
import { sendProxyHeader } from '../proxy-sender.js';
import type { WorkerRoom } from '../room.js';
import { Timer, type TimerOwner } from '../timer-wheel.js';
import type { TlsSide } from '../tls-side.js';
import type { Attempts, Upstream } from '../upstream/index.js';
import { accessLine } from './access-line.js';
import { type FlowHead, flowKey } from './flow-head.js';
import { FlowOpening } from './flow-opening.js';
import { FlowSession } from './flow-session.js';
import { FlowSide, type SideOwner } from './flow-side.js';
import { FlowState, successorBits } from './flow-state.js';
import { Tunnel } from './tunnel.js';
import { type TunnelOwner, TunnelTask } from './tunnel-task.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** One client connection and the upstream connection made for it, from accept to close. */
export class Flow implements TimerOwner, DialOwner, SideOwner, TunnelOwner {
  state: FlowState = FlowState.accepted;
  /** Why the flow ended; settled when it begins to close. */
  closeReason: CloseReason = 'done';
  /** Once it is known where the flow goes. */
  dial: Dial | undefined;
  /** The sender of a PROXY header: `clientText` is the client that it spoke of. */
  via: string | undefined;
  /** What its endpoint was told to call it. */
  uniqueId: string | undefined;
  readonly client: FlowSide;
  upstream: FlowSide | undefined;
  /** Gets a copy of what the client sends. */
  shadow: FlowShadow | undefined;
  /** Where the listener wants one, from the time both sides are connected. */
  capture: FlowCapture | undefined;
  private opening: FlowOpening | undefined;
  /** Once both sides are connected. */
  private tunnelling: TunnelTask | undefined;
  /** Number of the flow in its worker, from 1. */
  readonly sequence: number;
  readonly startedMs: number;
  lastActivityMs: number;
  readonly timer: Timer = new Timer(this);

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

  get isTcp(): boolean {
    return this.listener.snapshot.family !== 'unix';
  }

  /** What the stream began with, where the listener looks at that. */
  get head(): FlowHead | undefined {
    return this.opening?.head;
  }

  /** Of the client, where the listener terminates TLS. */
  get tls(): TlsSide | undefined {
    return this.opening?.tls;
  }

  /** Once both sides are connected. */
  get tunnel(): Tunnel | undefined {
    return this.tunnelling?.tunnel;
  }

  get isTunnelling(): boolean {
    return this.state === FlowState.tunnelling || this.state === FlowState.halfClosed;
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
    this.opening = FlowOpening.of(this);
    if (this.opening === undefined) this.routeTo(this.listener.upstream);
    else this.opening.begin();
  }

  onClientEvents(events: number): void {
    this.lastActivityMs = this.room.clock.nowMs;
    switch (this.state) {
      case FlowState.readingHead:
      case FlowState.securing:
        this.opening!.onEvents(events);
        return;
      case FlowState.accepted:
      case FlowState.dialling:
        // A FIN alone is no reason to stop: the client may be one that says all and then listens.
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.tunnelling!.onEvents(events, 'client');
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
        this.tunnelling!.onEvents(events, 'upstream');
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

  onTimer(): void {
    switch (this.state) {
      case FlowState.readingHead:
      case FlowState.securing:
        this.opening!.onTimer();
        return;
      case FlowState.dialling:
        this.dial!.onTimer();
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.tunnelling!.onTimer();
        return;
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

  get idleMs(): number {
    return this.room.timeouts.idleMs;
  }

  onDirectionOver(): void {
    if (this.state === FlowState.tunnelling) this.enter(FlowState.halfClosed);
  }

  /** The proxy is stopping: what has not said a word yet should end soon. */
  drain(): void {
    this.opening?.drain();
  }

  /** A PROXY header has said who the client is; so far its sender was taken for that. */
  speaksFor(clientText: string): void {
    if (this.clientText !== '') this.via = this.clientText;
    this.clientText = clientText;
  }

  /** Ends the flow now; with a reset, unless it ends the way both sides expect. */
  terminate(reason: CloseReason): void {
    if (this.state === FlowState.closing || this.state === FlowState.closed) return;
    this.enter(FlowState.closing);
    this.closeReason = reason;
    const { room } = this;
    this.tunnelling?.settle();
    const isOrderly = this.endsOrderly();
    room.clock.wheel.cancel(this.timer);
    this.tunnelling?.release();
    this.capture?.end(reason);
    if (room.logsAccess) accessLine(this);
    this.client.close(isOrderly);
    this.upstream?.close(isOrderly);
    this.shadow?.flowEnded(isOrderly);
    this.tls?.end();
    this.dial?.end();
    room.counters.countClosed(this.listener.snapshot.index, reason);
    room.connections.leave();
    this.listener.leave(this.source);
    this.enter(FlowState.closed);
    room.flowEnded(this.listener);
  }

  get connectTimeoutMs(): number {
    return this.room.timeouts.connectMs;
  }

  schedule(deadlineMs: number): void {
    this.room.clock.wheel.schedule(this.timer, deadlineMs);
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
    this.beginCapture();
    const tunnel = new Tunnel(room, client, upstream!, this.tls, dial!.tls);
    tunnel.up.tap = this.shadow;
    this.tunnelling = new TunnelTask(room, this, tunnel);
    this.enter(FlowState.tunnelling);
    this.tunnelling.begin();
  }

  onDialFailed(reason: CloseReason): void {
    this.terminate(reason);
  }

  /** It is known where the stream goes. */
  routeTo(upstream: Upstream): void {
    const { room, listener, client } = this;
    const disguise = listener.snapshot.transparent ? client.transport.fd : undefined;
    const key = upstream.isKeyed ? flowKey(this) : 0;
    // First, so that it is connected when the first bytes come.
    this.shadow = followFlow(this);
    this.dial = new Dial(room, this, upstream, key, disguise);
    this.enter(FlowState.dialling);
    this.dial.begin();
  }

  private beginCapture(): void {
    const { room, listener, client, sequence } = this;
    this.capture = FlowCapture.begin(room, listener.snapshot.capture, sequence, () =>
      captureNote({
        ...{ kernel: room.kernel, uniqueName: room.uniqueName, sequence },
        ...{ listener: listener.snapshot.name, protocol: 'tcp', fd: client.transport.fd },
        ...{ clientText: this.clientText, via: this.via, tls: this.tls },
        upstream: this.attempts?.upstream.name,
        endpoint: this.attempts?.endpoint?.text,
        serverName: this.head?.serverName,
      }),
    );
    if (this.capture === undefined) return;
    client.transport = new CapturedTransport(client.transport, this.capture);
  }

  /** A FIN says “that was all”: after bytes were lost, only a reset tells the truth. */
  private endsOrderly(): boolean {
    if (!orderlyReasons.has(this.closeReason)) return false;
    return this.tunnelling?.isClean ?? true;
  }

  enter(state: FlowState): void {
    if ((successorBits[this.state]! & (1 << state)) === 0) {
      throw new Error(`flow: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}
