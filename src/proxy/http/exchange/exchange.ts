import type { CloseReason } from '../../counters.js';
import type { Task } from '../../event-loop.js';
import type { TurnCalls } from '../../turn-calls.js';
import { type Attempts, processMs, type Upstream } from '../../upstream/index.js';
import type { HttpConnection } from '../connection/index.js';
import { Refusal } from '../guarding/index.js';
import { Routing } from '../http-policy.js';
import type { HttpRoom } from '../http-room.js';
import type { HttpRoute } from '../http-route.js';
import { Lateness, latenessReason } from '../lateness.js';
import type { HttpRejection } from '../message/index.js';
import type { RequestShadow } from '../mirroring/index.js';
import { TargetLookup } from '../outbound/index.js';
import { EndpointLink, type LinkOwner } from '../pool/index.js';
import { maxForwards } from '../rewriting/index.js';
import { transition } from '../transition.js';
import { ClientResponse } from './client-response.js';
import { ExchangeRecord } from './exchange-record.js';
import { ExchangeState, exchangeSuccessorBits } from './exchange-state.js';
import { statusOf } from './failure-status.js';
import { Forwarding } from './forwarding.js';
import { LocalAnswer } from './local-answer.js';
import { Patience } from './patience.js';
import { RelayResult } from './relay-result.js';
import { UpstreamRequest } from './upstream-request.js';

/**
 * RFC 9110 §7.6.2: a request that goes no further than here is answered as by its final recipient, which knows nothing
 * that could be done (§10.2.1).
 */
const NO_METHODS = 'Allow: \r\n';

/**
 * One request and its response. An exchange belongs to a connection from the request's head to the end
 * of both bodies, and is then used for another one, perhaps of another connection.
 */
export class Exchange implements LinkOwner, Task {
  state: ExchangeState = ExchangeState.idle;
  connection!: HttpConnection;
  route: HttpRoute | undefined;
  /** Gets a copy of the request; it may outlive the exchange. */
  shadow: RequestShadow | undefined;
  readonly record = new ExchangeRecord();
  readonly request: UpstreamRequest;
  readonly response: ClientResponse;
  readonly link: EndpointLink;
  readonly answer: LocalAnswer;
  readonly patience: Patience;
  private readonly forwarding: Forwarding;
  private readonly lookup: TargetLookup;
  /** The route's guard has let the request in. */
  private isEntered = false;
  private isDeferred = false;

  constructor(private readonly room: HttpRoom) {
    this.request = new UpstreamRequest(room);
    this.response = new ClientResponse(room);
    this.link = new EndpointLink(room, this);
    this.answer = new LocalAnswer(room, this);
    this.patience = new Patience(room.worker, this);
    this.forwarding = new Forwarding(room, this);
    this.request.owner = this.forwarding;
    this.response.owner = this;
    this.lookup = new TargetLookup(room, this);
  }

  /** Endpoints tried, and the one the request goes to; nothing before it is known where. */
  get attempts(): Attempts | undefined {
    return this.link.attempts;
  }

  /** Connections that were tried after another had failed. */
  get retries(): number {
    return this.record.reconnects + (this.attempts?.retries ?? 0);
  }

  /**
   * Begins with the head that was parsed last.
   * @param beganMs when its first byte came
   */
  begin(connection: HttpConnection, beganMs: number): void {
    const { room, record } = this;
    const { request: head, worker } = room;
    this.connection = connection;
    this.shadow = undefined;
    this.isEntered = false;
    record.begin(worker.clock.nowMs);
    this.patience.begin(beganMs);
    this.forwarding.prepare(head);
    this.response.begin();
    const { policy } = connection.service;
    const fault = this.request.take(connection.intake, policy.trailers);
    if (!this.request.body.isRead) connection.askForRest();
    const routing = policy.begin(head, connection.client);
    record.routed(policy, worker);
    this.route = policy.route;
    if (fault < 0) this.answer.refuse(connection.reject(-fault as HttpRejection));
    else if (policy.route !== undefined) this.serve(policy.route);
    else if (policy.answer !== undefined) this.answer.direct();
    else if (routing === Routing.none) this.answer.refuse(404);
    else {
      record.unroutable(routing);
      this.answer.refuse(400);
    }
  }

  onLinked(): void {
    this.forwarding.begin();
    // While there was nobody to send them to, bytes of the client's woke nobody.
    this.listenAgain();
  }

  onLinkFailed(reason: CloseReason): void {
    this.record.failed(reason);
    this.answer.replace(statusOf(reason, this.link.tls?.failure));
  }

  onClientEvents(): void {
    if (this.state === ExchangeState.dialling) return;
    if (this.state !== ExchangeState.answering) this.forwarding.onClientEvents();
    else if (this.response.isPending) this.afterResponse(this.response.push());
    this.listenAgain();
  }

  onUpstreamEvents(events: number): void {
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    if (this.state === ExchangeState.dialling) {
      this.link.onDialEvents(events);
      return;
    }
    if (this.response.body.isHolding) this.link.connection?.ear.ignore(events);
    this.forwarding.progress();
    this.listenAgain();
  }

  readAhead(calls: TurnCalls): void {
    const { response } = this;
    if (this.state !== ExchangeState.awaiting || response.body.isHolding) return;
    response.reader.intake.askAhead(calls, this.link.transport);
  }

  runTask(): void {
    this.isDeferred = false;
    // It may have ended since, and have begun with another request already.
    if (this.state === ExchangeState.idle || this.state === ExchangeState.dialling) return;
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    if (this.state !== ExchangeState.answering) this.forwarding.progress();
    else if (this.response.isPending) this.afterResponse(this.response.push());
    this.listenAgain();
  }

  get connectTimeoutMs(): number {
    return this.patience.connectMs;
  }

  schedule(deadlineMs: number): void {
    const { wheel } = this.room.worker.clock;
    wheel.schedule(this.connection.timer, this.patience.atMost(deadlineMs));
  }

  /** Bytes of the client are of use now. */
  get takesBody(): boolean {
    const { body } = this.request;
    const isForwarding =
      this.state === ExchangeState.awaiting || this.state === ExchangeState.responding;
    return isForwarding && !body.isOver && !body.isHolding;
  }

  /** The client may send its body: it does not wait for a 100 (Continue) any more. */
  get mayReceiveBody(): boolean {
    return !this.forwarding.awaitsContinue || this.request.body.bytes > 0;
  }

  /** The connection's timer went off. */
  onTimer(): void {
    const { patience, connection } = this;
    const lateness = patience.check();
    if (lateness !== Lateness.none) this.late(lateness);
    else if (this.lookup.isWaiting) this.lookup.expire();
    else if (this.state === ExchangeState.dialling) this.link.onTimer();
    else connection.expectBy(patience.dueMs);
  }

  onException(error: unknown): void {
    this.connection.onException(error);
  }

  /** Draws the consequences of what was sent to the client. */
  afterResponse(result: RelayResult): void {
    switch (result) {
      case RelayResult.Waiting:
        return;
      case RelayResult.Yielded:
        this.defer();
        return;
      case RelayResult.Ended:
        // While awaiting it was an informational response that had to wait for the client.
        if (this.state === ExchangeState.awaiting) return;
        if (this.state !== ExchangeState.responding || !this.forwarding.isStillWanted)
          this.finish();
        return;
      case RelayResult.SinkFailed:
        this.connection.terminate('client_reset');
        return;
      case RelayResult.SourceFailed:
      case RelayResult.Malformed:
        // The client must not take what it has for the whole.
        this.record.brokeOff(this.response.body.rejection);
        this.connection.terminate(this.response.isProduced ? 'file_failed' : 'upstream_reset');
    }
  }

  /** Gives everything back; what became of the exchange can still be asked. */
  release(): void {
    const { request, response, link } = this;
    this.lookup.cancel();
    const isCut = request.wasSent && !request.isOver;
    if (response.hasSurplus) link.isKept = false;
    request.release();
    response.release();
    if (request.wasSent) this.attempts?.endpoint?.responded(this.record.upstreamStatus);
    link.end(isCut);
    this.record.end(response.status, this.room.worker.clock.nowMs);
    if (this.isEntered) this.route!.guard.leave();
    this.isEntered = false;
    // An exception may have come before there was anything to wait for.
    if (this.state !== ExchangeState.idle) this.enter(ExchangeState.idle);
  }

  /** It is known where the name leads that was asked for. */
  forwardTo(upstream: Upstream): void {
    this.connection.lastActivityMs = this.room.worker.clock.nowMs;
    this.link.begin(upstream, 0, this.response.isConnect);
  }

  /** Goes on next turn, without an event. */
  defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.room.worker.clock.defer(this);
  }

  enter(state: ExchangeState): void {
    this.state = transition(exchangeSuccessorBits, this.state, state, 'exchange');
  }

  /** Either side may have been read dry; by now the connection may serve another exchange. */
  private listenAgain(): void {
    this.connection.listenAgain();
    this.link.connection?.ear.listenAgain();
  }

  private late(lateness: Exclude<Lateness, 0>): void {
    const { request, patience, record, state } = this;
    record.late(lateness);
    this.lookup.cancel();
    patience.stopCounting();
    if (state === ExchangeState.dialling) {
      this.answer.replace(504);
    } else if (state === ExchangeState.awaiting) {
      const { body } = request;
      const awaitsClient = !request.isOver && !body.isRead && !body.isHolding;
      this.answer.replace(awaitsClient ? 408 : 504);
    } else if (!this.endAnswered()) {
      this.connection.terminate(latenessReason(lateness));
    }
  }

  /**
   * The rest of the request will not come. Where the client was sent the whole answer already the connection ends in good
   * order: a reset could take the answer away from it.
   * @returns false where there is no such answer; then nothing was done
   */
  endAnswered(): boolean {
    const isAnswered = this.state === ExchangeState.responding && this.response.body.isOver;
    if (isAnswered) this.finish();
    return isAnswered;
  }

  private serve(route: HttpRoute): void {
    const { room, connection, request, response, record } = this;
    const { service, intake, client } = connection;
    const { policy } = service;
    this.route = route;
    this.patience.follow(route);
    const nowMs = processMs(room.worker.clock.nowMs);
    const refusal = route.enter(room.request, client, nowMs);
    if (refusal !== Refusal.none) {
      this.answer.refuse(record.refused(refusal), route.guard.fieldsFor(refusal));
      return;
    }
    this.isEntered = true;
    if (record.note !== undefined) record.note.user = route.guard.userOf(room.request);
    if (policy.answer !== undefined) {
      this.answer.direct();
      return;
    }
    const files = service.filesOf(route);
    if (files !== undefined) {
      this.answer.withFile(files);
      return;
    }
    if (maxForwards(room.request) === 0) {
      this.answer.refuse(405, NO_METHODS);
      return;
    }
    request.body.bytesMax = route.guard.bodyMax;
    if (request.body.isTooLong) {
      this.answer.refuse(record.refused(Refusal.body_too_large));
      return;
    }
    const target = policy.choose();
    response.prepare(route, policy);
    if (!request.compose(intake, policy, this.forwarding.wantsUpgrade)) {
      this.answer.refuse(431);
      return;
    }
    if (!this.forwarding.wantsUpgrade && !response.isConnect) {
      this.shadow = service.mirrorOf(route)?.follow(connection, request);
    }
    this.forwarding.retriesLeft = route.retries;
    this.enter(ExchangeState.dialling);
    const upstream = service.upstreamOf(target);
    if ('resolvesTo' in upstream) this.lookup.begin(upstream);
    else this.link.begin(upstream, service.keyOf(target), response.isConnect);
  }

  private finish(): void {
    const { connection, request, response } = this;
    // What was let go in favour of an answer of ours is over, too, but the client may still be sending it.
    const isWhole = request.body.isRead;
    if (!request.isOver) this.link.isKept = false;
    connection.exchangeOver(response.keepsClient && isWhole, isWhole && request.isLast);
  }
}
