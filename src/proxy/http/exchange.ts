import type { CloseReason } from '../counters.js';
import type { Task } from '../event-loop.js';
import { type Attempts, processMs } from '../upstream/index.js';
import { RelayResult } from './body-relay.js';
import { ClientResponse, HeadResult } from './client-response.js';
import type { HttpConnection } from './connection.js';
import { EndpointLink, type LinkOwner } from './endpoint-link.js';
import { type ExchangeNote, noteOf } from './exchange-note.js';
import { ExchangeState, exchangeSuccessorBits } from './exchange-state.js';
import { statusOf } from './failure-status.js';
import { Refusal, refusalStatus } from './guarding/index.js';
import { Routing } from './http-policy.js';
import type { HttpRejection } from './http-rejection.js';
import type { HttpRoom } from './http-room.js';
import type { HttpRoute } from './http-route.js';
import { Framing } from './message-head.js';
import type { RouteCounters } from './route-counters.js';
import { transition } from './transition.js';
import { UpstreamRequest } from './upstream-request.js';

/** Of a response of which nothing was sent. */
const REFUSED = RelayResult.Malformed;

/**
 * One request and its response. An exchange belongs to a connection from the request's head to the end
 * of both bodies, and is then used for another one, perhaps of another connection.
 */
export class Exchange implements LinkOwner, Task {
  state: ExchangeState = ExchangeState.idle;
  connection!: HttpConnection;
  startedMs = 0;
  private answeredMs = -1;
  /** Connections that were tried after another had failed. */
  retries = 0;
  /** What the access line says of the request; nothing where nobody reads it. */
  note: ExchangeNote | undefined;
  readonly request: UpstreamRequest;
  readonly response: ClientResponse;
  readonly link: EndpointLink;
  route: HttpRoute | undefined;
  private counters: RouteCounters | undefined;
  private wantsUpgrade = false;
  /** The route's guard has let the request in. */
  private isEntered = false;
  private retriesLeft = 0;
  private isDeferred = false;

  constructor(private readonly room: HttpRoom) {
    this.request = new UpstreamRequest(room);
    this.response = new ClientResponse(room);
    this.link = new EndpointLink(room, this);
  }

  /** Endpoints tried, and the one the request goes to; nothing before it is known where. */
  get attempts(): Attempts | undefined {
    return this.link.attempts;
  }

  /** From the request's head to the response's, or to an answer of our own; −1 before. */
  get firstByteMs(): number {
    return this.answeredMs < 0 ? -1 : this.answeredMs - this.startedMs;
  }

  /** Begins with the head that was parsed last. */
  begin(connection: HttpConnection): void {
    const { room } = this;
    const { request: head } = room;
    this.connection = connection;
    this.startedMs = room.worker.clock.nowMs;
    this.answeredMs = -1;
    this.retries = 0;
    this.route = undefined;
    this.wantsUpgrade = head.wantsUpgrade;
    this.response.begin(connection.service.errors);
    this.isEntered = false;
    const { policy } = connection.service;
    const fault = this.request.take(connection.intake);
    const routing = policy.begin(head, connection.client);
    this.note = room.worker.logsAccess ? noteOf(policy) : undefined;
    this.counters = policy.counters;
    this.counters.countBegun();
    if (fault < 0) this.refuse(this.connection.reject(-fault as HttpRejection));
    else if (policy.route !== undefined) this.serve(policy.route);
    else if (policy.answer !== undefined) this.answerDirectly();
    else this.refuse(routing === Routing.path_invalid ? 400 : 404);
  }

  onLinked(): void {
    const { connection, request } = this;
    if (this.response.isConnect) {
      this.establish();
      return;
    }
    this.enter(ExchangeState.awaiting);
    connection.keepTime();
    this.afterRequest(request.send(connection.transport, this.link.transport));
    if (this.state === ExchangeState.awaiting && request.body.isDue)
      this.afterRequest(this.request.push());
  }

  onLinkFailed(reason: CloseReason): void {
    this.answer(statusOf(reason));
  }

  onClientEvents(): void {
    const { state, request, response } = this;
    if (state === ExchangeState.switching) this.pushSwitch();
    if (state === ExchangeState.switching || state === ExchangeState.dialling) return;
    if (request.body.isDue) this.afterRequest(request.push());
    if (response.body.isHolding) this.afterResponse(response.push());
  }

  onUpstreamEvents(events: number): void {
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    if (this.state === ExchangeState.dialling) this.link.onDialEvents(events);
    else this.progress();
  }

  runTask(): void {
    this.isDeferred = false;
    if (this.state === ExchangeState.idle) return;
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    this.progress();
  }

  /** The connection's timer went off. */
  onTimer(): void {
    switch (this.state) {
      case ExchangeState.dialling:
        this.link.onTimer();
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

  private serve(route: HttpRoute): void {
    const { room, connection, request } = this;
    const { service, intake, client } = connection;
    const { policy } = service;
    const nowMs = processMs(room.worker.clock.nowMs);
    const refusal = route.enter(room.request, client, nowMs);
    if (refusal !== Refusal.none) {
      policy.counters.countRefused(refusal);
      this.refuse(refusalStatus(refusal), route.guard.fieldsFor(refusal));
      return;
    }
    this.route = route;
    this.isEntered = true;
    if (policy.answer !== undefined) {
      this.answerDirectly();
      return;
    }
    request.body.bytesMax = route.guard.bodyMax;
    const target = policy.choose();
    this.response.prepare(route, policy);
    if (!request.compose(intake, policy, this.wantsUpgrade)) {
      this.refuse(431);
      return;
    }
    this.retriesLeft = route.retries;
    this.enter(ExchangeState.dialling);
    this.link.begin(service.upstreamOf(target), service.keyOf(target), this.response.isConnect);
  }

  /** CONNECT (RFC 9110 §9.3.6): the tunnel begins behind our answer. */
  private establish(): void {
    const { connection, request, response, link, room } = this;
    this.enter(ExchangeState.switching);
    this.answeredMs = room.worker.clock.nowMs;
    connection.keepTime();
    request.beginTunnel(connection.transport, link.transport, connection.intake);
    response.sendEstablished(connection.transport);
    this.pushSwitch();
  }

  private progress(): void {
    if (this.state === ExchangeState.switching) {
      this.pushSwitch();
      return;
    }
    if (this.request.body.isDue) this.afterRequest(this.request.push());
    if (this.state === ExchangeState.awaiting) this.readResponse();
    else if (this.state === ExchangeState.responding) this.afterResponse(this.response.push());
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
        if (this.state !== ExchangeState.awaiting) this.connection.terminate('client_reset');
        else this.answer(this.connection.reject(this.request.body.rejection!));
        return;
      case RelayResult.SinkFailed: {
        const mayAnswer = this.request.abandon(this.link.transport);
        if (this.state !== ExchangeState.awaiting) return;
        if (mayAnswer) this.readResponse();
        else this.answer(502);
      }
    }
  }

  private readResponse(): void {
    const { response, room } = this;
    const { transport } = this.link;
    for (;;) {
      if (response.body.isHolding && response.push() !== RelayResult.Ended) return;
      switch (response.readHead(transport)) {
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

  private passInterim(): void {
    const { response, connection } = this;
    const result = response.sendInterim(connection.transport);
    if (result === RelayResult.Malformed) this.answer(502);
    else if (result === RelayResult.SinkFailed) connection.terminate('client_reset');
  }

  private respond(): void {
    const { room, connection, request, response, link } = this;
    const { response: head } = room;
    const isTunnel = head.framing === Framing.tunnel;
    link.isKept = head.keepAlive;
    link.attempts!.endpoint!.answered(head.status);
    // Who refuses a request does not want the rest of its body.
    const isRefusal = !request.isOver && head.status >= 300;
    const mayKeep = !isRefusal && !connection.isLast;
    // Nobody switches who was not asked.
    const isAsked = !isTunnel || (this.wantsUpgrade && request.isOver);
    const result = isAsked ? response.send(connection.transport, link.transport, mayKeep) : REFUSED;
    if (result === REFUSED) {
      this.answer(502);
      return;
    }
    this.answeredMs = room.worker.clock.nowMs;
    if (isTunnel) {
      this.enter(ExchangeState.switching);
      request.switchTo(connection.intake);
      this.pushSwitch();
      return;
    }
    this.enter(ExchangeState.responding);
    if (request.isOver) request.forget();
    this.afterResponse(result);
    if (this.state !== ExchangeState.responding || !response.body.isDue) return;
    this.afterResponse(response.push());
  }

  private afterResponse(result: RelayResult): void {
    switch (result) {
      case RelayResult.Waiting:
        return;
      case RelayResult.Yielded:
        this.defer();
        return;
      case RelayResult.Ended:
        // While awaiting it was an informational response that had to wait for the client.
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

  /** What was read already goes out before the tunnel opens. */
  private pushSwitch(): void {
    const { request, response, connection, link } = this;
    const up = request.isOver ? RelayResult.Ended : request.push();
    const down = response.body.isOver ? RelayResult.Ended : response.push();
    if (up === RelayResult.SinkFailed) connection.terminate('upstream_reset');
    else if (down === RelayResult.SinkFailed) connection.terminate('client_reset');
    else if (up === RelayResult.Ended && down === RelayResult.Ended) connection.openTunnel(link);
  }

  private upstreamBroke(): void {
    const { request, response, link } = this;
    const isRepeatable = response.isUntouched && request.mayRepeat;
    const { wasIdle } = link;
    if (!wasIdle) link.attempts!.endpoint!.answered(502);
    if (!isRepeatable || !(wasIdle || this.retriesLeft > 0)) {
      this.answer(502);
      return;
    }
    request.rewind();
    this.retries++;
    this.enter(ExchangeState.dialling);
    if (wasIdle) {
      link.reconnect();
      return;
    }
    this.retriesLeft--;
    if (!link.another()) this.answer(502);
  }

  /** Answers without an upstream, while the request's head is there. @param fields whole lines */
  private refuse(status: number, fields?: string): void {
    this.answer(status, fields, this.room.request.accept);
  }

  /** Answers in the place of an endpoint. */
  private answer(status: number, fields = '', accept = this.request.accept()): void {
    const { connection, response } = this;
    // A part of an informational response has gone out: nothing but its rest may follow.
    if (response.body.isHolding) {
      connection.terminate('upstream_reset');
      return;
    }
    this.beginAnswer();
    this.afterResponse(response.sendError(connection.transport, status, accept, fields));
  }

  /** Answers as the route says. */
  private answerDirectly(): void {
    const { transport, service } = this.connection;
    this.beginAnswer();
    this.afterResponse(this.response.sendDirect(transport, service.policy));
  }

  private beginAnswer(): void {
    const { connection, request, response, link, room } = this;
    link.drop();
    response.release();
    this.enter(ExchangeState.answering);
    this.answeredMs = room.worker.clock.nowMs;
    if (!request.body.isRead || connection.isLast) response.keepsClient = false;
    request.release();
    connection.keepTime();
  }

  private finish(): void {
    const { connection, request } = this;
    const isWhole = request.isOver || request.body.isRead;
    if (!request.isOver) this.link.isKept = false;
    connection.exchangeOver(this.response.keepsClient && isWhole, isWhole);
  }

  /** Gives everything back; what became of the exchange can still be asked. */
  release(): void {
    const { request, response, link } = this;
    const isCut = request.wasSent && !request.isOver;
    if (response.hasSurplus) link.isKept = false;
    request.release();
    response.release();
    link.end(isCut);
    const { nowMs } = this.room.worker.clock;
    this.counters!.countEnded(response.status, nowMs - this.startedMs, this.firstByteMs);
    if (this.isEntered) this.route!.guard.leave();
    this.isEntered = false;
    this.enter(ExchangeState.idle);
  }

  private defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.room.worker.clock.defer(this);
  }

  private enter(state: ExchangeState): void {
    this.state = transition(exchangeSuccessorBits, this.state, state, 'exchange');
  }
}
