import { acknowledge, Epoll, PlainTransport, type SocketAddress } from '../../../splice/index.js';
import { type CloseReason, orderlyReasons } from '../../counters.js';
import { Ear } from '../../ear.js';
import type { EventHandler } from '../../event-loop.js';
import type { FlowHead, TunnelOwner } from '../../flow/index.js';
import type { Listener } from '../../listener.js';
import type { WorkerRoom } from '../../room.js';
import { silenceEndsMs } from '../../silence.js';
import type { TlsSide } from '../../tls-side.js';
import type { TurnCalls } from '../../turn-calls.js';
import type { Exchange } from '../exchange/index.js';
import type { HttpGate } from '../http-gate.js';
import type { HttpRoom } from '../http-room.js';
import type { Intake } from '../intake.js';
import { exchangeLine, unopenedLine } from '../logging/index.js';
import { type HttpRejection, httpRejectionName, statusFor } from '../message/index.js';
import type { EndpointLink } from '../pool/index.js';
import { transition } from '../transition.js';
import { ConnectionSession } from './connection-session.js';
import { ConnectionState, connectionSuccessorBits } from './connection-state.js';
import { Farewell } from './farewell.js';
import { Greeting, GreetingResult } from './greeting.js';
import { HttpTunnel } from './http-tunnel.js';
import { RequestReader } from './request-reader.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/**
 * What TCP sends without waiting for anything (RFC 6928). Answers so short are on their way when they are over. Behind longer
 * ones, and behind one that the client did not know to be the last, bytes of the client's would meet a closed
 * socket, whose reset drops what is left.
 */
const FIRST_FLIGHT_BYTES = 14_600;

/**
 * One client's connection, on which requests come one after the other. It owns no memory while none is
 * under way.
 */
export class HttpConnection extends ConnectionSession implements EventHandler, TunnelOwner {
  generation = 0;
  state: ConnectionState = ConnectionState.greeting;
  readonly worker: WorkerRoom;
  exchange: Exchange | undefined;
  tunnelled: HttpTunnel | undefined;
  private readonly http: HttpRoom;
  /** What came before the first request; nothing where nothing was wanted. */
  private greeting: Greeting | undefined;
  private readonly ear: Ear;
  readonly reader: RequestReader;
  /** While lingering. */
  private farewell: Farewell | undefined;

  /**
   * @param clientFd an accepted, non-blocking socket; the connection closes it
   * @param peer who has connected
   * @param source what the listener wants back when the connection ends
   */
  constructor(
    private readonly gate: HttpGate,
    listener: Listener,
    clientFd: number,
    peer: SocketAddress,
    private readonly source: number,
  ) {
    const { worker } = gate.room;
    const isTcp = listener.snapshot.family !== 'unix';
    super(worker, listener, new PlainTransport(worker.kernel, clientFd, isTcp), peer);
    this.http = gate.room;
    this.worker = worker;
    this.ear = new Ear(worker.clock, this);
    this.reader = new RequestReader(this, gate);
  }

  get session(): this {
    return this;
  }

  /** After the present answer the connection is closed. */
  get isLast(): boolean {
    return this.worker.isDraining || this.gate.isClosing;
  }

  get isTunnelling(): boolean {
    return this.state === ConnectionState.tunnelling;
  }

  /** Of a tunnel. */
  get idleMs(): number {
    return this.exchange!.patience.tunnelMs;
  }

  /** What the client's PROXY header said, if there was one. */
  get head(): FlowHead | undefined {
    return this.greeting?.head;
  }

  /** Where the listener speaks TLS. */
  get tls(): TlsSide | undefined {
    return this.greeting?.tls;
  }

  /** A part of a head is there. */
  get hasPartialHead(): boolean {
    return this.reader.hasPartialHead;
  }

  /** What came of the client and was not used yet. */
  get intake(): Intake {
    return this.reader.intake;
  }

  /** Begins to listen to the client. */
  begin(): void {
    const { worker, listener, transport } = this;
    worker.counters.countAccepted(listener.snapshot.index);
    if (this.ear.register() < 0) {
      this.terminate('error');
      return;
    }
    this.greeting = Greeting.of(worker, listener, transport.fd);
    if (this.greeting === undefined) {
      this.beginCapture();
      this.enter(ConnectionState.reading);
      this.reader.begin(this.startedMs);
    } else {
      this.greet(0);
    }
    if (worker.isDraining) this.drain();
  }

  onEvents(events: number): void {
    this.transport.notice(events);
    this.lastActivityMs = this.worker.clock.nowMs;
    switch (this.state) {
      case ConnectionState.greeting:
        this.greet(events);
        return;
      case ConnectionState.reading:
        this.reader.serve();
        return;
      case ConnectionState.exchanging:
        if ((events & BROKEN_EVENTS) !== 0) {
          this.terminate('client_reset');
          return;
        }
        if (!this.exchange!.takesBody) this.ear.ignore(events);
        this.exchange!.onClientEvents();
        return;
      case ConnectionState.lingering:
        this.farewell!.discard();
        return;
      default:
    }
  }

  readAhead(calls: TurnCalls): void {
    if (this.state === ConnectionState.reading) this.intake.askAhead(calls, this.transport);
  }

  onTimer(): void {
    switch (this.state) {
      case ConnectionState.greeting:
        this.greetingDue();
        return;
      case ConnectionState.reading:
        this.reader.onTimer();
        return;
      case ConnectionState.exchanging:
        this.exchange!.onTimer();
        return;
      case ConnectionState.tunnelling:
        this.tunnelled!.onTimer();
        return;
      case ConnectionState.lingering:
        this.farewell!.onTimer();
        return;
      default:
    }
  }

  onException(error: unknown): void {
    const { name } = this.listener.snapshot;
    this.worker.log.error({ err: error, listener: name }, 'HTTP connection failed');
    this.terminate('error');
  }

  /**
   * The exchange is over.
   *
   * @param mayContinue another request may come on this connection
   * @param isSilent the client has said that nothing more comes
   */
  exchangeOver(mayContinue: boolean, isSilent: boolean): void {
    this.dismissExchange();
    if (!mayContinue) {
      this.finish(isSilent && this.bytesDown <= FIRST_FLIGHT_BYTES);
      return;
    }
    this.enter(ConnectionState.reading);
    this.reader.again();
    this.reader.serve();
  }

  /** The protocol was switched: from now on bytes go both ways. */
  openTunnel(link: EndpointLink): void {
    this.enter(ConnectionState.tunnelling);
    this.ear.open();
    this.tunnelled = new HttpTunnel(this, link.surrender());
    this.tunnelled.begin();
  }

  /** Something may have been read: what was not listened to while nobody took it is heard again. */
  listenAgain(): void {
    if (this.state !== ConnectionState.closed) this.ear.listenAgain();
  }

  /** A request has begun, and nothing can be said to it yet: a client may hold the rest back until what came is acknowledged. */
  askForRest(): void {
    const { worker, listener, transport } = this;
    if (listener.snapshot.family !== 'unix') acknowledge(worker.kernel, transport.fd);
  }

  terminate(reason: CloseReason): void {
    if (this.state === ConnectionState.closed) return;
    if (this.state === ConnectionState.reading) this.reader.cutOff(reason);
    this.close(reason, orderlyReasons.has(reason));
  }

  drain(): void {
    if (this.state === ConnectionState.greeting) this.expectBy(this.silenceEndsMs());
    else if (this.state === ConnectionState.reading) this.reader.drain();
  }

  /** Until when a client is waited for that has not begun to speak. */
  private silenceEndsMs(): number {
    const { deadlineMs } = this.greeting!;
    return silenceEndsMs(this.lastActivityMs, deadlineMs, this.worker.clock.nowMs);
  }

  private greet(events: number): void {
    const greeting = this.greeting!;
    const { clock } = this.worker;
    switch (greeting.advance(events)) {
      case GreetingResult.Waiting:
        // The timer may have been set for an earlier time: it will look again.
        this.expectBy(greeting.deadlineMs);
        return;
      case GreetingResult.Failed:
        this.terminate(greeting.failure);
        return;
      case GreetingResult.Done:
        if (greeting.transport !== undefined) this.transport = greeting.transport;
        this.beginCapture();
        this.enter(ConnectionState.reading);
        clock.wheel.cancel(this.timer);
        this.reader.begin(clock.nowMs);
        if (this.isLast) this.drain();
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        else this.reader.serve();
    }
  }

  /** The time is up, or the proxy is stopping and the client was silent for a while. */
  private greetingDue(): void {
    const greeting = this.greeting!;
    const { clock, isDraining } = this.worker;
    if (clock.nowMs >= greeting.deadlineMs) {
      this.terminate(greeting.expire());
      return;
    }
    // What came this very moment counts: its event is not here yet.
    this.greet(0);
    if (this.state !== ConnectionState.greeting || !isDraining || greeting.hasBegun) return;
    const dueMs = this.silenceEndsMs();
    if (clock.nowMs >= dueMs) this.terminate('drained');
    else this.expectBy(dueMs);
  }

  /** A head was read. @param beganMs when its first byte came */
  exchangeBegins(beganMs: number): void {
    const { gate, http } = this;
    this.service = gate.service;
    this.enter(ConnectionState.exchanging);
    const exchange = http.takeExchange();
    this.exchange = exchange;
    exchange.begin(this, beganMs);
  }

  /** A head is none: counts why. @returns the status to answer with */
  reject(rejection: HttpRejection): number {
    const { counters } = this.worker;
    counters.countHttpRejected(this.listener.snapshot.index, rejection);
    if (this.exchange !== undefined) this.exchange.record.rejection = httpRejectionName(rejection);
    return statusFor(rejection);
  }

  /**
   * Ends in good order, when the client has had time to read its last answer.
   *
   * @param isSilent nothing more comes of the client, or nothing that could hurt
   * @param reason why the connection ends
   */
  finish(isSilent: boolean, reason: CloseReason = 'done'): void {
    this.intake.release();
    const farewell = new Farewell(this, this.http.buffers, isSilent, reason);
    if (farewell.isOver) {
      this.terminate(reason);
      return;
    }
    this.farewell = farewell;
    this.enter(ConnectionState.lingering);
    farewell.begin();
  }

  /** @param close why the connection ends, when it does not go on as it should */
  private dismissExchange(close?: CloseReason): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    this.exchange = undefined;
    exchangeLine(exchange, close);
    this.countBytes(exchange);
    exchange.release();
    this.http.giveExchange(exchange);
  }

  private close(reason: CloseReason, isOrderly: boolean): void {
    const { worker, transport, listener, tunnelled } = this;
    if (this.state === ConnectionState.greeting && reason !== 'drained') unopenedLine(this, reason);
    // Who has a part of a response must not take it for all: where there is no length, only a reset can tell.
    const isWhole = this.exchange === undefined;
    this.enter(ConnectionState.closed);
    const isClean = tunnelled === undefined ? isOrderly && isWhole : tunnelled.end(isOrderly);
    if (this.exchange !== undefined) this.exchange.link.isKept = false;
    this.dismissExchange(reason);
    worker.clock.wheel.cancel(this.timer);
    this.intake.release();
    this.capture?.end(reason);
    worker.clock.forget(transport.fd);
    this.greeting?.end();
    if (isClean) transport.close(worker.clock.calls);
    else transport.reset();
    worker.counters.countClosed(listener.snapshot.index, reason);
    worker.connections.leave();
    listener.leave(this.source);
    worker.flowEnded(listener);
  }

  private enter(state: ConnectionState): void {
    this.state = transition(connectionSuccessorBits, this.state, state, 'HTTP connection');
  }
}
