import type { Transport } from '../../splice/index.js';
import type { CloseReason } from '../counters.js';
import { Dial, type DialOwner } from '../dial.js';
import type { Task } from '../event-loop.js';
import type { Timer } from '../timer-wheel.js';
import type { Attempts, Endpoint } from '../upstream/index.js';
import { RelayResult } from './body-relay.js';
import { ClientResponse, HeadResult } from './client-response.js';
import type { HttpConnection } from './connection.js';
import { EndpointLink } from './endpoint-link.js';
import { ExchangeState, exchangeSuccessorBits } from './exchange-state.js';
import { statusOf } from './failure-status.js';
import { statusFor } from './http-rejection.js';
import type { HttpRoom } from './http-room.js';
import { Framing } from './message-head.js';
import { Method } from './method.js';
import type { UpstreamUser } from './upstream-connection.js';
import { UpstreamRequest } from './upstream-request.js';

/**
 * One request and its response. An exchange belongs to a connection from the request's head to the end
 * of both bodies, and is then used for another one, perhaps of another connection.
 */
export class Exchange implements DialOwner, UpstreamUser, Task {
  state: ExchangeState = ExchangeState.idle;
  /** Status of the response; 0 before there is one. */
  status = 0;
  startedMs = 0;
  // What is kept of the request's head, whose place the next one takes.
  method: Method = Method.other;
  /** The client knows neither chunks nor informational responses. */
  isOldClient = false;
  wantsUpgrade = false;
  /** The connection to the client may carry another request. */
  keepsClient = false;
  readonly request: UpstreamRequest;
  readonly response: ClientResponse;
  private connection!: HttpConnection;
  private dial: Dial | undefined;
  private readonly link: EndpointLink;
  private retriesLeft = 0;
  private isDeferred = false;

  constructor(private readonly room: HttpRoom) {
    this.request = new UpstreamRequest(room);
    this.response = new ClientResponse(room);
    this.link = new EndpointLink(room, this);
  }

  get timer(): Timer {
    return this.connection.timer;
  }

  /** Endpoints tried, and the one the request goes to. */
  get attempts(): Attempts | undefined {
    return this.dial?.attempts;
  }

  /** Begins with the head that was parsed last. */
  begin(connection: HttpConnection): void {
    const { room } = this;
    const { request: head } = room;
    this.connection = connection;
    this.startedMs = room.worker.clock.nowMs;
    this.status = 0;
    this.method = head.method;
    this.isOldClient = head.minorVersion === 0;
    this.wantsUpgrade = head.wantsUpgrade;
    this.keepsClient = head.keepAlive;
    this.link.begin();
    const { service, intake } = connection;
    const upstream = service.route(head);
    this.retriesLeft = 1;
    const fault = this.request.compose(intake, service);
    if (fault < 0) {
      this.keepsClient = false;
      this.answer(statusFor(-fault as never));
      return;
    }
    this.enter(ExchangeState.dialling);
    const key = upstream.isKeyed ? connection.sourceKey : 0;
    if (this.dial === undefined) {
      this.dial = new Dial(room.worker, this, upstream, key);
      this.dial.begin();
    } else {
      this.dial.again(upstream, key);
    }
  }

  reuse(endpoint: Endpoint): boolean {
    return this.link.reuse(endpoint);
  }

  watch(transport: Transport): number {
    return this.link.watch(this.dial!.attempts.endpoint!, transport);
  }

  unwatch(): void {
    this.link.unwatch();
  }

  greet(): undefined {
    return undefined;
  }

  onDialled(): void {
    this.enter(ExchangeState.awaiting);
    this.connection.keepTime();
    const client = this.connection.transport;
    const result = this.request.send(client, this.link.transport);
    this.afterRequest(result);
    if (this.state === ExchangeState.awaiting && this.request.body.isDue) this.pushRequest();
  }

  onDialFailed(reason: CloseReason): void {
    this.answer(statusOf(reason));
  }

  onClientEvents(): void {
    if (this.state === ExchangeState.dialling) return;
    if (this.request.body.isDue) this.pushRequest();
    if (this.response.body.isHolding) this.pushResponse();
  }

  onUpstreamEvents(events: number): void {
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    switch (this.state) {
      case ExchangeState.dialling:
        this.dial!.onEvents(events);
        return;
      case ExchangeState.awaiting:
      case ExchangeState.responding:
        this.progress();
        return;
      default:
    }
  }

  /** The run queue's turn. */
  runTask(): void {
    this.isDeferred = false;
    if (this.state === ExchangeState.awaiting || this.state === ExchangeState.responding) {
      this.connection.lastActivityMs = this.room.worker.clock.nowMs;
      this.progress();
    }
  }

  /** The connection's timer went off. */
  onTimer(): void {
    switch (this.state) {
      case ExchangeState.dialling:
        this.dial!.onTimer();
        return;
      case ExchangeState.awaiting:
        if (this.connection.isQuiet()) this.answer(504);
        return;
      default:
        if (this.connection.isQuiet()) this.connection.terminate('idle_timeout');
    }
  }

  onException(error: unknown): void {
    this.connection.onException(error);
  }

  /** Gives everything back, wherever the exchange is. */
  abort(): void {
    this.link.isKept = false;
    this.release();
  }

  private progress(): void {
    if (this.request.body.isDue) this.pushRequest();
    if (this.state === ExchangeState.awaiting) this.readResponse();
    else if (this.state === ExchangeState.responding) this.pushResponse();
  }

  private pushRequest(): void {
    this.afterRequest(this.request.push());
  }

  private afterRequest(result: RelayResult): void {
    switch (result) {
      case RelayResult.Waiting:
      case RelayResult.Ended:
        return;
      case RelayResult.Yielded:
        this.defer();
        return;
      case RelayResult.SourceFailed:
        this.connection.terminate('client_reset');
        return;
      case RelayResult.Malformed:
        this.bodyRefused();
        return;
      case RelayResult.SinkFailed:
        // The endpoint takes no more, but its last words may be waiting: an early answer, mostly.
        this.request.abandon();
        if (this.state === ExchangeState.awaiting) this.readResponse();
    }
  }

  /** The request's chunks are none: the endpoint must not take what it has for the whole. */
  private bodyRefused(): void {
    const { rejection } = this.request.body;
    if (this.state === ExchangeState.awaiting) this.answer(statusFor(rejection!));
    else this.connection.terminate('client_reset');
  }

  private readResponse(): void {
    const { response, room } = this;
    const { transport } = this.link;
    for (;;) {
      if (response.body.isHolding && response.push() !== RelayResult.Ended) return;
      switch (response.readHead(transport, this.method)) {
        case HeadResult.NeedMore:
          return;
        case HeadResult.Broken:
          this.upstreamBroke();
          return;
        case HeadResult.Rejected:
          this.answer(502);
          return;
        case HeadResult.Whole:
          if (!room.response.isInterim) {
            this.respond();
            return;
          }
          this.passInterim();
          if (this.state !== ExchangeState.awaiting) return;
      }
    }
  }

  /** 100 (Continue) and its like; HTTP/1.0 knows none of them (RFC 9110 §15.2). */
  private passInterim(): void {
    const { response, room, connection } = this;
    if (this.isOldClient) {
      response.skipHead();
      return;
    }
    const headBytes = connection.service.writeResponse(
      room.response,
      room.buffers.output.bytes,
      this,
    );
    if (response.sendInterim(connection.transport, headBytes) === RelayResult.SinkFailed) {
      connection.terminate('client_reset');
    }
  }

  private respond(): void {
    const { room, connection, request, response } = this;
    const { response: head } = room;
    const { transport } = this.link;
    if (head.framing === Framing.tunnel) {
      this.answer(502);
      return;
    }
    this.status = head.status;
    this.link.isKept = head.keepAlive;
    const isUnchunked = this.isOldClient && head.framing === Framing.chunked;
    const isEarlyRefusal = !request.isOver && head.status >= 300;
    const endsByClose = isUnchunked || head.framing === Framing.until_close;
    if (endsByClose || isEarlyRefusal || connection.isLast) this.keepsClient = false;
    const headBytes = connection.service.writeResponse(head, room.buffers.output.bytes, this);
    const result = response.send(connection.transport, transport, headBytes, isUnchunked);
    if (result === RelayResult.Malformed) {
      this.answer(502);
      return;
    }
    this.enter(ExchangeState.responding);
    if (request.isOver) request.forget();
    this.afterResponse(result);
    if (this.state === ExchangeState.responding && response.body.isDue) this.pushResponse();
  }

  private pushResponse(): void {
    this.afterResponse(this.response.push());
  }

  private afterResponse(result: RelayResult): void {
    switch (result) {
      case RelayResult.Waiting:
        return;
      case RelayResult.Yielded:
        this.defer();
        return;
      case RelayResult.Ended:
        // An informational response that had to wait for the client is over, not the exchange.
        if (this.state !== ExchangeState.awaiting) this.finish();
        return;
      case RelayResult.SinkFailed:
        this.connection.terminate('client_reset');
        return;
      case RelayResult.SourceFailed:
      case RelayResult.Malformed:
        // The client must not take what it has for the whole.
        this.connection.terminate('upstream_reset');
    }
  }

  /** The endpoint ended or broke the connection before it answered. */
  private upstreamBroke(): void {
    const { request, response } = this;
    const wasReused = this.link.connection!.isReused;
    const isRepeatable =
      request.isRepeatable && response.isUntouched && (request.isIdempotent || !request.wasSent);
    if (isRepeatable && wasReused && !this.link.avoidsReuse) {
      // It closed the connection while the request was on its way: nobody's fault.
      this.link.drop();
      this.link.avoidsReuse = true;
      request.rewind();
      this.enter(ExchangeState.dialling);
      this.dial!.reconnect();
      return;
    }
    if (isRepeatable && this.retriesLeft > 0) {
      this.retriesLeft--;
      this.link.drop();
      request.rewind();
      this.enter(ExchangeState.dialling);
      if (this.dial!.another()) return;
    }
    this.answer(502);
  }

  /** Answers in the place of an endpoint. */
  private answer(status: number): void {
    const { connection, request, response, room } = this;
    this.link.drop();
    response.release();
    this.enter(ExchangeState.answering);
    this.status = status;
    if (!request.body.isRead || connection.isLast) this.keepsClient = false;
    const accept = request.accept();
    request.release();
    const answer = room.errors.render(
      { status, accept, isHead: this.method === Method.HEAD, keepAlive: this.keepsClient },
      Date.now(),
    );
    connection.keepTime();
    this.afterResponse(response.sendOwn(connection.transport, answer));
  }

  private finish(): void {
    const { connection, request } = this;
    const isWhole = request.isOver || request.body.isRead;
    if (!request.isOver) this.link.isKept = false;
    const keepsClient = this.keepsClient && isWhole;
    this.release();
    connection.exchangeOver(keepsClient, isWhole);
  }

  private release(): void {
    const { request, response, link, dial } = this;
    const isCut = request.wasSent && !request.isOver;
    if (response.hasSurplus) link.isKept = false;
    request.release();
    response.release();
    if (link.connection !== undefined) link.give(dial!.attempts.upstream, isCut);
    dial?.end();
    this.enter(ExchangeState.idle);
  }

  private defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.room.worker.clock.defer(this);
  }

  private enter(state: ExchangeState): void {
    if ((exchangeSuccessorBits[this.state]! & (1 << state)) === 0) {
      throw new Error(`exchange: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}
