import { Epoll, formatAddress } from '../../splice/index.js';
import { Handshake, HandshakeResult, type TlsSession } from '../../tls/index.js';
import { silenceEndsMs } from '../silence.js';
import type { Rejection } from '../tcp/index.js';
import { TlsSide } from '../tls-side.js';
import type { Flow } from './flow.js';
import { FlowHead } from './flow-head.js';
import { FlowState } from './flow-state.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/**
 * What a flow's stream begins with, where its listener has to see that before it knows where the stream
 * goes: a head, which is a PROXY header or a ClientHello, and a TLS handshake; the one, the other or both.
 *
 * ```
 *   readingHead ──▶ securing ──▶ routed
 *        └──────────────┴──▶ the flow ends
 * ```
 */
export class FlowOpening {
  head: FlowHead | undefined;
  /** Of the client, where the listener terminates TLS. */
  readonly tls: TlsSide | undefined;

  private constructor(
    private readonly flow: Flow,
    head: FlowHead | undefined,
  ) {
    const { room, listener, client, isTcp } = flow;
    const { tls } = listener;
    this.head = head;
    if (tls !== undefined) {
      const { fd } = client.transport;
      const handshake = Handshake.accept(room, tls.contexts, fd, isTcp, listener.inForce);
      this.tls = new TlsSide(room, 'client', handshake, tls.kernel);
    }
  }

  /** @returns nothing where all streams go the same way, whatever they begin with */
  static of(flow: Flow): FlowOpening | undefined {
    const { kernel } = flow.room;
    const { head: policy, tls } = flow.listener;
    const { fd } = flow.client.transport;
    const expected = policy?.expected(kernel, fd);
    if (expected === undefined && tls === undefined) return undefined;
    const head = expected && new FlowHead(flow.room, policy!, expected, fd);
    return new FlowOpening(flow, head);
  }

  begin(): void {
    if (this.head === undefined) this.secure();
    else this.readHead();
  }

  /** @param events of the client's socket */
  onEvents(events: number): void {
    if (this.flow.state === FlowState.securing) this.shakeHands(events);
    else if (this.head!.advance(events)) this.headRead(events);
  }

  onTimer(): void {
    if (this.flow.state === FlowState.securing) this.handshakeDue();
    else this.headDue();
  }

  /**
   * The proxy is stopping. What has begun goes on; a client that has not said a word, where one is
   * needed, is waited for no longer than a moment.
   */
  drain(): void {
    const { state, lastActivityMs, timer, room } = this.flow;
    if (state !== FlowState.readingHead && state !== FlowState.securing) return;
    const { clock } = room;
    clock.wheel.schedule(timer, silenceEndsMs(lastActivityMs, timer.deadlineMs, clock.nowMs));
  }

  private readHead(): void {
    const { flow } = this;
    const { clock, timeouts, isDraining } = flow.room;
    flow.enter(FlowState.readingHead);
    clock.wheel.schedule(flow.timer, clock.nowMs + timeouts.headMs);
    if (isDraining) this.drain();
  }

  /** The time for the head is up, or the proxy is stopping and the client was silent for a while. */
  private headDue(): void {
    const { flow } = this;
    const { clock, timeouts } = flow.room;
    const deadlineMs = flow.startedMs + timeouts.headMs;
    // What came this very moment counts: its event is not here yet.
    if (clock.nowMs < deadlineMs && this.head!.advance(0)) this.headRead(0);
    else if (clock.nowMs >= deadlineMs) this.rejected('head_timeout');
    else if (this.head!.hasBegun) clock.wheel.schedule(flow.timer, deadlineMs);
    else flow.terminate('drained');
  }

  /** @param events with which the last of the head came */
  private headRead(events: number): void {
    const { flow } = this;
    const { endpoints, upstream } = this.head!;
    if (endpoints !== undefined) flow.speaksFor(formatAddress(endpoints.source));
    if (upstream === undefined) {
      this.rejected('head_rejected');
      return;
    }
    flow.enter(FlowState.accepted);
    if ((events & BROKEN_EVENTS) !== 0) flow.terminate('client_reset');
    else if (this.tls !== undefined) this.secure();
    else flow.routeTo(flow.room.currentUpstream(upstream));
  }

  private secure(): void {
    const { flow } = this;
    const { clock, isDraining } = flow.room;
    flow.enter(FlowState.securing);
    clock.wheel.schedule(flow.timer, this.tls!.begin());
    this.shakeHands(0);
    if (isDraining) this.drain();
  }

  /** The time for the handshake is up, or the proxy is stopping and the client was silent for a while. */
  private handshakeDue(): void {
    const { flow } = this;
    const { clock } = flow.room;
    const tls = this.tls!;
    if (clock.nowMs >= tls.deadlineMs) {
      tls.expire();
      flow.terminate('tls_timeout');
      return;
    }
    // As with heads.
    this.shakeHands(0);
    if (flow.state !== FlowState.securing) return;
    if (tls.hasBegun) clock.wheel.schedule(flow.timer, tls.deadlineMs);
    else flow.terminate('drained');
  }

  /** @param events what epoll reported; 0 for a try without an event */
  private shakeHands(events: number): void {
    const { flow } = this;
    const tls = this.tls!;
    const result = tls.advance(events);
    if (result === HandshakeResult.Failed) flow.terminate('tls_failed');
    if (result !== HandshakeResult.Done) return;
    flow.client.transport = tls.transport;
    flow.enter(FlowState.accepted);
    this.secured(tls.session!);
  }

  private secured(session: TlsSession): void {
    const { flow } = this;
    const target = flow.listener.routeBy(session);
    if (typeof target === 'number') {
      this.countRejected(-target as Rejection);
      flow.terminate('head_rejected');
    } else flow.routeTo(flow.room.currentUpstream(target));
  }

  private rejected(reason: 'head_rejected' | 'head_timeout'): void {
    if (reason === 'head_timeout') this.head!.expire();
    this.countRejected(this.head!.rejection!);
    this.flow.terminate(reason);
  }

  private countRejected(rejection: Rejection): void {
    const { room, listener } = this.flow;
    room.counters.countRejected(listener.snapshot.index, rejection);
  }
}
