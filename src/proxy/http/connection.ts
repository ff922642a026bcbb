import { Epoll, Outcome, PlainTransport } from '../../splice/index.js';
import { type CloseReason, orderlyReasons } from '../counters.js';
import type { EventHandler } from '../event-loop.js';
import type { FlowHead } from '../flow-head.js';
import type { Listener } from '../listener.js';
import type { WorkerRoom } from '../room.js';
import { silenceEndsMs } from '../silence.js';
import { SOCKET_EVENTS } from '../socket-events.js';
import type { TlsSide } from '../tls-side.js';
import { ConnectionSession } from './connection-session.js';
import { ConnectionState, connectionSuccessorBits } from './connection-state.js';
import type { EndpointLink } from './endpoint-link.js';
import type { Exchange } from './exchange.js';
import { exchangeLine } from './exchange-note.js';
import { Greeting, GreetingResult } from './greeting.js';
import type { HttpGate } from './http-gate.js';
import { type HttpRejection, PARTIAL, statusFor } from './http-rejection.js';
import type { HttpRoom } from './http-room.js';
import { HttpTunnel } from './http-tunnel.js';
import { Intake } from './intake.js';
import { transition } from './transition.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** How long a client that was told of the end may go on sending. */
const LINGER_MS = 2000;
/** Draining, a quiet client is waited for so long: its next request may be on the way. */
const DRAIN_GRACE_MS = 500;

/**
 * One client's connection, on which requests come one after the other. It owns no memory while none is
 * under way.
 */
export class HttpConnection extends ConnectionSession implements EventHandler {
  generation = 0;
  state: ConnectionState = ConnectionState.greeting;
  /** What came of the client and was not used yet. */
  readonly intake: Intake;
  readonly worker: WorkerRoom;
  exchange: Exchange | undefined;
  tunnelled: HttpTunnel | undefined;
  private readonly http: HttpRoom;
  /** What came before the first request; nothing where nothing was wanted. */
  private greeting: Greeting | undefined;
  private isServing = false;
  /** Closing: what the client may still have to say does not matter, or there is nothing. */
  private hasHeardAll = false;
  /** Requests so far. */
  private requests = 0;
  /** When the wait for a head began, or, once a part of it is there, for the rest. */
  private waitingSinceMs: number;

  /**
   * @param clientFd an accepted, non-blocking socket; the connection closes it
   * @param text the client's address for the access line, empty where nobody reads it
   * @param source what the listener wants back when the connection ends
   */
  constructor(
    private readonly gate: HttpGate,
    listener: Listener,
    clientFd: number,
    text: string,
    private readonly source: number,
  ) {
    const { worker } = gate.room;
    const isTcp = listener.snapshot.family !== 'unix';
    super(worker, listener, new PlainTransport(worker.kernel, clientFd, isTcp), text);
    this.http = gate.room;
    this.worker = worker;
    this.intake = new Intake(this.http.buffers);
    this.waitingSinceMs = this.startedMs;
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
    return this.intake.length > 0;
  }

  /** Begins to listen to the client. */
  begin(): void {
    const { worker, listener, transport } = this;
    worker.counters.countAccepted(listener.snapshot.index);
    if (worker.clock.register(transport.fd, SOCKET_EVENTS, this) < 0) {
      this.terminate('error');
      return;
    }
    this.greeting = Greeting.of(worker, listener, transport.fd);
    if (this.greeting === undefined) {
      this.enter(ConnectionState.reading);
      this.expectBy(this.waitingSinceMs + worker.timeouts.headMs);
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
        this.serve();
        return;
      case ConnectionState.exchanging:
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        else this.exchange!.onClientEvents();
        return;
      case ConnectionState.lingering:
        this.discard();
        return;
      default:
    }
  }

  onTimer(): void {
    switch (this.state) {
      case ConnectionState.greeting:
        this.greetingDue();
        return;
      case ConnectionState.reading:
        this.readingDue();
        return;
      case ConnectionState.exchanging:
        this.exchange!.onTimer();
        return;
      case ConnectionState.tunnelling:
        this.tunnelled!.onTimer();
        return;
      case ConnectionState.lingering:
        if (!this.transport.isClosing || this.isQuiet()) this.close('done', true);
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
   * @param isWhole nothing more of the last request is to come
   */
  exchangeOver(mayContinue: boolean, isWhole: boolean): void {
    this.dismissExchange();
    if (!mayContinue) {
      this.finish(isWhole);
      return;
    }
    this.enter(ConnectionState.reading);
    this.waitingSinceMs = this.worker.clock.nowMs;
    if (this.isLast) this.drain();
    else this.expectBy(this.waitingSinceMs + this.worker.timeouts.keepAliveMs);
    this.serve();
  }

  /** The protocol was switched: from now on bytes go both ways. */
  openTunnel(link: EndpointLink): void {
    this.enter(ConnectionState.tunnelling);
    this.tunnelled = new HttpTunnel(this, link.surrender());
    this.tunnelled.begin();
  }

  terminate(reason: CloseReason): void {
    if (this.state !== ConnectionState.closed) this.close(reason, orderlyReasons.has(reason));
  }

  drain(): void {
    const { nowMs } = this.worker.clock;
    if (this.state === ConnectionState.greeting) {
      this.expectBy(silenceEndsMs(this.startedMs, this.greeting!.deadlineMs, nowMs));
    } else if (this.state === ConnectionState.reading && !this.hasPartialHead) {
      this.expectBy(nowMs + DRAIN_GRACE_MS);
    }
  }

  private greet(events: number): void {
    const greeting = this.greeting!;
    const { clock, timeouts } = this.worker;
    switch (greeting.advance(events)) {
      case GreetingResult.Waiting:
        clock.wheel.schedule(this.timer, greeting.deadlineMs);
        return;
      case GreetingResult.Failed:
        this.terminate(greeting.failure);
        return;
      case GreetingResult.Done:
        if (greeting.transport !== undefined) this.transport = greeting.transport;
        this.enter(ConnectionState.reading);
        this.waitingSinceMs = clock.nowMs;
        clock.wheel.schedule(this.timer, clock.nowMs + timeouts.headMs);
        if (this.isLast) this.drain();
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        else this.serve();
    }
  }

  /** The time is up, or the proxy is stopping and the client was silent for a while. */
  private greetingDue(): void {
    const greeting = this.greeting!;
    const isLate = this.worker.clock.nowMs >= greeting.deadlineMs;
    // What came this very moment counts: its event is not here yet.
    if (!isLate) this.greet(0);
    if (this.state !== ConnectionState.greeting) return;
    if (isLate) this.terminate(greeting.expire());
    else if (!greeting.hasBegun) this.terminate('drained');
  }

  /** Takes requests for as long as there are some and none is under way. */
  private serve(): void {
    // An answer that is given at once leads here again: pipelined ones would nest.
    if (this.isServing) return;
    this.isServing = true;
    try {
      while (this.state === ConnectionState.reading && this.readHead()) {}
    } finally {
      this.isServing = false;
    }
  }

  /** @returns false when there is nothing more to be had now */
  private readHead(): boolean {
    const { intake, transport, http } = this;
    if (intake.length === intake.seenBytes) {
      const read = transport.readable ? intake.fill(transport) : Outcome.Blocked;
      if (read <= 0) return this.nothingRead(read);
    }
    const { bytes } = intake.buffer!;
    const { start, end, seenBytes } = intake;
    const result = http.request.parse(bytes, start, end, seenBytes);
    if (result === PARTIAL) {
      if (seenBytes === 0) this.headBegins();
      intake.seenBytes = end - start;
      return true;
    }
    if (result < 0) this.refuse(this.reject(-result as HttpRejection));
    else this.exchangeBegins();
    return true;
  }

  private headBegins(): void {
    const { clock, timeouts } = this.worker;
    if (this.requests > 0) this.waitingSinceMs = clock.nowMs;
    this.expectBy(this.waitingSinceMs + timeouts.headMs);
  }

  private exchangeBegins(): void {
    const { gate, http } = this;
    this.service = gate.service;
    this.requests++;
    this.enter(ConnectionState.exchanging);
    const exchange = http.takeExchange();
    this.exchange = exchange;
    exchange.begin(this);
    this.intake.settle();
  }

  private nothingRead(outcome: number): boolean {
    if (outcome === Outcome.Eof) this.finish(true);
    else if (outcome === Outcome.Failed) this.terminate('client_reset');
    else this.intake.settle();
    return false;
  }

  /** A head is none: counts why. @returns the status to answer with */
  reject(rejection: HttpRejection): number {
    const { counters } = this.worker;
    counters.countHttpRejected(this.listener.snapshot.index, rejection);
    return statusFor(rejection);
  }

  /** Answers what is no request, and ends. */
  private refuse(status: number): void {
    const { http, transport } = this;
    const { output } = http.buffers;
    const errors = this.gate.service?.errors ?? http.errors;
    const answer = errors.render({ status }, Date.now());
    answer.copy(output.bytes);
    // Nothing else is on its way: the socket takes so little, or is dead.
    if (transport.writable) transport.write(output.address, answer.length);
    this.finish(false);
  }

  private readingDue(): void {
    // What came this very moment counts: its event is not here yet.
    if (this.isLast) this.serve();
    if (this.state !== ConnectionState.reading) return;
    const { worker, requests, hasPartialHead } = this;
    const { clock, timeouts } = worker;
    const isIdle = requests > 0 && !hasPartialHead;
    const patienceMs = isIdle ? timeouts.keepAliveMs : timeouts.headMs;
    const deadlineMs = this.waitingSinceMs + patienceMs;
    if (isIdle && this.isLast) this.finish(true);
    else if (!hasPartialHead && this.worker.isDraining) this.close('drained', true);
    else if (clock.nowMs < deadlineMs) clock.wheel.schedule(this.timer, deadlineMs);
    else if (hasPartialHead) this.refuse(408);
    else this.close(isIdle ? 'done' : 'head_timeout', true);
  }

  /** @param isWhole nothing more of the last request is to come */
  private finish(isWhole: boolean): void {
    this.intake.release();
    const { transport } = this;
    this.hasHeardAll = isWhole && !transport.readable;
    // A plain socket says the end when it is closed, however much waits in it; with TLS there must be room.
    if (!this.hasHeardAll || this.tls !== undefined) transport.shutdownWrite();
    if (this.hasHeardAll && !transport.isClosing) {
      this.close('done', true);
      return;
    }
    this.enter(ConnectionState.lingering);
    const { clock } = this.worker;
    clock.wheel.schedule(this.timer, clock.nowMs + LINGER_MS);
    this.discard();
  }

  private discard(): void {
    const { http, transport } = this;
    const { output } = http.buffers;
    while (transport.readable) {
      const read = transport.read(output.address, output.byteLength);
      if (read > 0) continue;
      if (read === Outcome.Failed) {
        this.close('done', true);
        return;
      }
      if (read === Outcome.Eof) this.hasHeardAll = true;
      break;
    }
    if (this.hasHeardAll && !transport.isClosing) this.close('done', true);
  }

  /** @param close why the connection ends, when it does not go on as it should */
  private dismissExchange(close?: CloseReason): void {
    const { exchange } = this;
    if (exchange === undefined) return;
    this.exchange = undefined;
    if (exchange.note !== undefined) exchangeLine(exchange, close);
    this.countBytes(exchange);
    exchange.release();
    this.http.giveExchange(exchange);
  }

  private close(reason: CloseReason, isOrderly: boolean): void {
    const { worker, transport, listener, tunnelled } = this;
    this.enter(ConnectionState.closed);
    const isClean = tunnelled === undefined ? isOrderly : tunnelled.end(isOrderly);
    if (this.exchange !== undefined) this.exchange.link.isKept = false;
    this.dismissExchange(reason);
    worker.clock.wheel.cancel(this.timer);
    this.intake.release();
    worker.clock.forget(transport.fd);
    this.greeting?.end();
    if (isClean) transport.close();
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
