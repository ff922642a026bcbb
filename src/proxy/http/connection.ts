import {
  Epoll,
  formatAddress,
  Outcome,
  PlainTransport,
  type Transport,
} from '../../splice/index.js';
import type { CloseReason } from '../counters.js';
import { orderlyReasons } from '../counters.js';
import type { EventHandler, Task } from '../event-loop.js';
import type { Listener } from '../listener.js';
import type { WorkerRoom } from '../room.js';
import { peerText, type Session, type SessionDetail } from '../session.js';
import type { SessionStateName } from '../session-state.js';
import { SOCKET_EVENTS } from '../socket-events.js';
import { Timer, type TimerOwner } from '../timer-wheel.js';
import { describeTls } from '../tls-status.js';
import { sourceKey, sourceKeyOf, type Upstream } from '../upstream/index.js';
import { ConnectionState, connectionSuccessorBits } from './connection-state.js';
import type { Exchange } from './exchange.js';
import { Greeting, GreetingResult } from './greeting.js';
import type { HttpGate } from './http-gate.js';
import { type HttpRejection, PARTIAL, statusFor } from './http-rejection.js';
import type { HttpRoom } from './http-room.js';
import type { HttpService } from './http-service.js';
import { Intake } from './intake.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** How long a client that was told of the end may go on sending. */
const LINGER_MS = 2000;

/**
 * One client's connection, on which requests come one after the other. It owns no memory while none is
 * under way.
 */
export class HttpConnection implements EventHandler, TimerOwner, Session, Task {
  generation = 0;
  state: ConnectionState = ConnectionState.greeting;
  readonly sequence: number;
  readonly startedMs: number;
  /** Of the last event of either side. */
  lastActivityMs: number;
  readonly timer: Timer = new Timer(this);
  /** What came of the client and was not used yet. */
  readonly intake: Intake;
  /** Another one, once TLS is agreed on. */
  transport: Transport;
  /** What came before HTTP: a PROXY header, TLS; nothing where HTTP was first. */
  greeting: Greeting | undefined;
  closeReason: CloseReason = 'done';
  /** What is done with the present request. */
  service!: HttpService;
  private readonly http: HttpRoom;
  private readonly worker: WorkerRoom;
  private exchange: Exchange | undefined;
  private isServing = false;
  /** When the connection began to wait for what it waits for while reading. */
  private readingSinceMs: number;
  private key = -1;
  /** After the present answer the connection is closed. */
  isLast = false;

  constructor(
    private readonly gate: HttpGate,
    readonly listener: Listener,
    clientFd: number,
    public text: string,
    private readonly source: number,
  ) {
    this.http = gate.room;
    const { worker } = this.http;
    this.worker = worker;
    const isTcp = listener.snapshot.family !== 'unix';
    this.transport = new PlainTransport(worker.kernel, clientFd, isTcp);
    this.intake = new Intake(this.http.buffers);
    this.sequence = worker.nextFlowSequence();
    this.startedMs = worker.clock.nowMs;
    this.lastActivityMs = this.startedMs;
    this.readingSinceMs = this.startedMs;
  }

  get session(): Session {
    return this;
  }

  /** Begins to listen to the client. */
  begin(): void {
    const { worker } = this;
    worker.counters.countAccepted(this.listener.snapshot.index);
    if (worker.clock.register(this.transport.fd, SOCKET_EVENTS, this) < 0) {
      this.terminate('error');
      return;
    }
    this.greeting = Greeting.of(worker, this.listener, this.transport.fd);
    if (this.greeting === undefined) {
      this.enter(ConnectionState.reading);
      this.expectBy(this.readingSinceMs + worker.timeouts.headMs);
    } else {
      this.greet(0);
    }
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

  runTask(): void {
    if (this.state === ConnectionState.reading) this.serve();
  }

  onTimer(): void {
    switch (this.state) {
      case ConnectionState.greeting:
        this.greetingTimer();
        return;
      case ConnectionState.reading:
        this.readingTimer();
        return;
      case ConnectionState.exchanging:
        this.exchange!.onTimer();
        return;
      case ConnectionState.lingering:
        this.closeOrderly();
        return;
      default:
    }
  }

  onException(error: unknown): void {
    this.worker.log.error(
      { err: error, listener: this.listener.snapshot.name },
      'connection failed',
    );
    this.terminate('error');
  }

  /** What all connections of a client share: see `sourceKey`. */
  get sourceKey(): number {
    if (this.key < 0) {
      const source = this.greeting?.source;
      const { kernel } = this.worker;
      this.key = source === undefined ? sourceKey(kernel, this.transport.fd) : sourceKeyOf(source);
    }
    return this.key;
  }

  /** The exchange is over. @param mayContinue another request may come on this connection */
  exchangeOver(mayContinue: boolean, isWhole: boolean): void {
    this.http.giveExchange(this.exchange!);
    this.exchange = undefined;
    if (!mayContinue) {
      this.finish(isWhole);
      return;
    }
    this.enter(ConnectionState.reading);
    this.readingSinceMs = this.worker.clock.nowMs;
    this.expectBy(this.readingSinceMs + this.worker.timeouts.headMs);
    this.serve();
  }

  /** Sees to it that the timer goes off in time for the exchange. */
  keepTime(): void {
    this.expectBy(this.worker.clock.nowMs + this.worker.timeouts.idleMs);
  }

  /** Whether nothing has happened for too long; otherwise the timer is set again. */
  isQuiet(): boolean {
    const { clock, timeouts } = this.worker;
    const deadlineMs = this.lastActivityMs + timeouts.idleMs;
    if (clock.nowMs >= deadlineMs) return true;
    clock.wheel.schedule(this.timer, deadlineMs);
    return false;
  }

  terminate(reason: CloseReason): void {
    if (this.state === ConnectionState.closed) return;
    this.exchange?.abort();
    this.exchange = undefined;
    this.close(reason, orderlyReasons.has(reason));
  }

  drain(): void {
    this.isLast = true;
    if (this.state === ConnectionState.reading && this.intake.length === 0) this.finish(true);
  }

  get stateName(): SessionStateName {
    return this.state === ConnectionState.greeting ? 'securing' : 'accepted';
  }

  get upstream(): Upstream | undefined {
    return this.exchange?.attempts?.upstream;
  }

  get isUnconnected(): boolean {
    return false;
  }

  get bytesMoved(): number {
    return 0;
  }

  clientText(): string {
    return this.text === '' ? peerText(this.worker.kernel, this.transport.fd) : this.text;
  }

  describe(): SessionDetail {
    const none = { bytes: 0, path: 'none', state: 'none' } as const;
    return {
      endpoint: this.exchange?.attempts?.endpoint?.text,
      lastActivityMs: this.lastActivityMs,
      connectMs: -1,
      tls: describeTls(this.greeting?.tls),
      up: none,
      down: none,
    };
  }

  moveTo(): void {}

  /** @param events what epoll reported; 0 for a try without an event */
  private greet(events: number): void {
    const greeting = this.greeting!;
    switch (greeting.advance(events)) {
      case GreetingResult.Waiting:
        this.worker.clock.wheel.schedule(this.timer, greeting.deadlineMs);
        return;
      case GreetingResult.Failed:
        this.terminate(greeting.failure);
        return;
      case GreetingResult.Done:
        this.greeted(greeting);
        return;
    }
  }

  private greeted({ transport, source }: Greeting): void {
    const { worker } = this;
    if (transport !== undefined) this.transport = transport;
    if (source !== undefined) this.text = formatAddress(source);
    this.enter(ConnectionState.reading);
    this.readingSinceMs = worker.clock.nowMs;
    worker.clock.wheel.schedule(this.timer, this.readingSinceMs + worker.timeouts.headMs);
    this.serve();
  }

  private greetingTimer(): void {
    const { clock } = this.worker;
    const { deadlineMs } = this.greeting!;
    if (clock.nowMs < deadlineMs) clock.wheel.schedule(this.timer, deadlineMs);
    else this.terminate(this.greeting!.expire());
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
      intake.seenBytes = end - start;
      return true;
    }
    if (result < 0) {
      this.refuse(-result as HttpRejection);
      return false;
    }
    this.enter(ConnectionState.exchanging);
    this.service = this.gate.service!;
    const exchange = http.takeExchange();
    this.exchange = exchange;
    exchange.begin(this);
    intake.settle();
    return true;
  }

  private nothingRead(outcome: number): boolean {
    if (outcome === Outcome.Eof) this.finish(true);
    else if (outcome === Outcome.Failed) this.terminate('client_reset');
    else this.intake.settle();
    return false;
  }

  private refuse(rejection: HttpRejection): void {
    const { http, transport } = this;
    const answer = http.errors.render({ status: statusFor(rejection) }, Date.now());
    const { output } = http.buffers;
    answer.copy(output.bytes);
    transport.write(output.address, answer.length);
    this.finish(false);
  }

  private readingTimer(): void {
    const { clock, timeouts } = this.worker;
    const deadlineMs = this.readingSinceMs + timeouts.headMs;
    if (clock.nowMs < deadlineMs) clock.wheel.schedule(this.timer, deadlineMs);
    else this.closeOrderly();
  }

  private expectBy(deadlineMs: number): void {
    const { timer } = this;
    if (timer.isScheduled && timer.deadlineMs <= deadlineMs) return;
    this.worker.clock.wheel.schedule(timer, deadlineMs);
  }

  /** @param isWhole nothing more of the last request is to come */
  private finish(isWhole: boolean): void {
    this.intake.release();
    if (isWhole && !this.transport.readable) {
      this.closeOrderly();
      return;
    }
    this.enter(ConnectionState.lingering);
    this.transport.shutdownWrite();
    this.worker.clock.wheel.schedule(this.timer, this.worker.clock.nowMs + LINGER_MS);
    this.discard();
  }

  private discard(): void {
    const { output } = this.http.buffers;
    while (this.transport.readable) {
      const read = this.transport.read(output.address, output.byteLength);
      if (read > 0) continue;
      if (read !== Outcome.Blocked) this.closeOrderly();
      return;
    }
  }

  private closeOrderly(): void {
    this.close('done', true);
  }

  private close(reason: CloseReason, isOrderly: boolean): void {
    if (this.state === ConnectionState.closed) return;
    const { worker, transport, listener } = this;
    this.enter(ConnectionState.closed);
    this.closeReason = reason;
    worker.clock.wheel.cancel(this.timer);
    this.intake.release();
    this.greeting?.end();
    worker.clock.forget(transport.fd);
    if (isOrderly) transport.close();
    else transport.reset();
    worker.counters.countClosed(listener.snapshot.index, reason);
    worker.connections.leave();
    listener.leave(this.source);
    worker.flowEnded(listener);
  }

  private enter(state: ConnectionState): void {
    if ((connectionSuccessorBits[this.state]! & (1 << state)) === 0) {
      throw new Error(`HTTP connection: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}
