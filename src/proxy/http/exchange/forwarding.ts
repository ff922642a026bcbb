import { Refusal } from '../guarding/index.js';
import type { HttpRoom } from '../http-room.js';
import {
  Framing,
  type HttpRejection,
  keepAliveMs,
  type RequestHead,
  upgradeProtocols,
} from '../message/index.js';
import type { Exchange } from './exchange.js';
import { ExchangeState } from './exchange-state.js';
import { RelayResult } from './relay-result.js';
import { HeadResult } from './response-reader.js';
import type { RequestOwner } from './upstream-request.js';

/** Of a response of which nothing was sent. */
const REFUSED = RelayResult.Malformed;
/** Who answers so before it has the whole request does not want the rest of it. */
const REFUSALS_FROM = 300;
const CONTINUE = 100;
const NO_PROTOCOLS: readonly string[] = [];

/**
 * The part of an exchange that goes by an endpoint, once there is a connection to it: the request goes
 * out, the response comes back, and either may fail.
 */
export class Forwarding implements RequestOwner {
  /** The request asks for another protocol. */
  wantsUpgrade = false;
  /** Which ones it offers. */
  private offered: readonly string[] = NO_PROTOCOLS;
  /** The endpoint has said something already: an informational response. */
  private hasHeard = false;
  /** The client waits for a 100 (Continue) with its body. */
  awaitsContinue = false;
  /** Other endpoints that may still be tried. */
  retriesLeft = 0;

  constructor(
    private readonly room: HttpRoom,
    private readonly exchange: Exchange,
  ) {}

  /** @param head of a new request */
  prepare(head: RequestHead): void {
    this.wantsUpgrade = head.wantsUpgrade;
    this.offered = head.wantsUpgrade ? upgradeProtocols(head) : NO_PROTOCOLS;
    this.awaitsContinue = head.expectsContinue;
    this.hasHeard = false;
  }

  /** The response has begun, and the rest of the request goes on to the endpoint all the same. */
  get isStillWanted(): boolean {
    const { request, response } = this.exchange;
    return !request.isOver && this.takesRest(response.status);
  }

  /**
   * An endpoint that answers so before it has the whole request takes the rest all the same: it has not refused
   * it, does not want to close, and the client does not wait for a word that will not come.
   */
  private takesRest(status: number): boolean {
    const { exchange } = this;
    const { request, link } = exchange;
    const isTaken = link.isKept && !request.isAbandoned && status < REFUSALS_FROM;
    return isTaken && exchange.mayReceiveBody;
  }

  /** There is a connection to an endpoint. */
  begin(): void {
    const { exchange } = this;
    const { connection, request, response, link } = exchange;
    if (response.isConnect) {
      this.establish();
      return;
    }
    exchange.enter(ExchangeState.awaiting);
    exchange.patience.expectBody(exchange.route!.guard.bodyRateMin);
    connection.keepTime();
    this.afterRequest(request.send(connection, link));
    if (exchange.state === ExchangeState.awaiting && request.body.isDue)
      this.afterRequest(request.push());
    // An endpoint that spoke before it was asked has been heard already: no other event need follow.
    if (exchange.state === ExchangeState.awaiting && link.transport.readable) this.readResponse();
  }

  /** Something may move, on whatever side. */
  progress(): void {
    const { exchange } = this;
    const { request, response } = exchange;
    if (exchange.state === ExchangeState.switching) {
      this.pushSwitch();
      return;
    }
    if (request.body.isDue) this.afterRequest(request.push());
    if (exchange.state === ExchangeState.awaiting) this.readResponse();
    else if (exchange.state === ExchangeState.responding) exchange.afterResponse(response.push());
  }

  /** The client's socket has bytes, or room. */
  onClientEvents(): void {
    const { exchange } = this;
    const { request, response } = exchange;
    if (exchange.state === ExchangeState.switching) {
      this.pushSwitch();
      return;
    }
    if (request.body.isDue) this.afterRequest(request.push());
    if (response.isPending) exchange.afterResponse(response.push());
  }

  /** CONNECT (RFC 9110 §9.3.6): the tunnel begins behind our answer. */
  private establish(): void {
    const { exchange } = this;
    const { connection, request, response, link, record } = exchange;
    exchange.enter(ExchangeState.switching);
    record.answered(this.room.worker.clock.nowMs);
    exchange.patience.stopCounting();
    connection.keepTime();
    request.beginTunnel(connection, link, connection.intake);
    response.sendEstablished(connection);
    this.pushSwitch();
  }

  onException(error: unknown): void {
    this.exchange.onException(error);
  }

  /** Draws the consequences of what was sent to the endpoint. */
  afterRequest(result: RelayResult): void {
    const { exchange } = this;
    const { connection, request } = exchange;
    switch (result) {
      case RelayResult.Waiting:
        return;
      case RelayResult.Ended:
        if (exchange.state === ExchangeState.awaiting) exchange.patience.expectResponse();
        else this.afterEarlyResponse();
        return;
      case RelayResult.Yielded:
        exchange.defer();
        return;
      case RelayResult.SourceFailed:
        if (!exchange.endAnswered()) connection.terminate('client_reset');
        return;
      case RelayResult.Malformed:
        this.requestMalformed(
          request.body.isTooLong
            ? exchange.record.refused(Refusal.body_too_large)
            : connection.reject(request.body.rejection!),
        );
        return;
      case RelayResult.SinkFailed: {
        const mayAnswer = request.abandon(exchange.link.transport);
        if (exchange.state !== ExchangeState.awaiting) this.afterEarlyResponse();
        else if (mayAnswer) this.readResponse();
        else this.upstreamFailed();
      }
    }
  }

  /** No more of the request goes out, and the response may be over already. */
  private afterEarlyResponse(): void {
    const { exchange } = this;
    const isOver = exchange.state === ExchangeState.responding && exchange.response.body.isOver;
    if (isOver) exchange.afterResponse(RelayResult.Ended);
  }

  private readResponse(): void {
    const { exchange, room } = this;
    const { response } = exchange;
    const { transport } = exchange.link;
    for (;;) {
      if (response.body.isHolding && response.push() !== RelayResult.Ended) return;
      switch (response.reader.readHead(transport, response.method)) {
        case HeadResult.NeedMore:
          return;
        case HeadResult.Broken:
          this.upstreamBroke();
          return;
        case HeadResult.Rejected:
          this.misanswered(response.reader.rejection);
          return;
        case HeadResult.Whole:
          if (!room.response.isInterim) {
            this.respond();
            return;
          }
          this.passInterim();
          if (exchange.state !== ExchangeState.awaiting) return;
      }
    }
  }

  private passInterim(): void {
    const { response, connection } = this.exchange;
    // RFC 9110 §10.1.1: other news, such as a 103, asks for no body.
    if (this.room.response.status === CONTINUE) this.awaitsContinue = false;
    this.hasHeard = true;
    const result = response.sendInterim(connection);
    if (result === RelayResult.Malformed) this.misanswered();
    else if (result === RelayResult.SinkFailed) connection.terminate('client_reset');
  }

  private respond(): void {
    const { room, exchange } = this;
    const { connection, request, response, link } = exchange;
    const { response: head } = room;
    const isTunnel = head.framing === Framing.tunnel;
    link.isKept = head.keepAlive;
    link.connection!.patienceMs = keepAliveMs(head);
    exchange.record.upstreamStatus = head.status;
    link.attempts!.endpoint!.answered(head.status);
    const isRequestOver = request.isOver;
    const mayKeep = (isRequestOver || this.takesRest(head.status)) && !connection.isLast;
    // Nobody switches who was not asked.
    const isAsked = !isTunnel || (request.isOver && this.mayTurnInto(upgradeProtocols(head)));
    const result = isAsked ? response.send(connection, link, isRequestOver, mayKeep) : REFUSED;
    if (result === REFUSED) {
      this.misanswered(response.rejection);
      return;
    }
    exchange.record.answered(room.worker.clock.nowMs);
    exchange.patience.stopExpecting();
    if (isTunnel) {
      exchange.patience.stopCounting();
      exchange.enter(ExchangeState.switching);
      request.switchTo(connection.intake);
      this.pushSwitch();
      return;
    }
    exchange.enter(ExchangeState.responding);
    if (request.isOver) request.forget();
    exchange.afterResponse(result);
    if (exchange.state !== ExchangeState.responding || !response.body.isDue) return;
    exchange.afterResponse(response.push());
  }

  /**
   * Whether the client has asked for what an endpoint switches to (RFC 9110 §7.8): one of them at least, as some name
   * what is spoken inside as well (RFC 2817 §3.3). An endpoint that names nothing is taken at its word.
   */
  private mayTurnInto(protocols: readonly string[]): boolean {
    if (!this.wantsUpgrade) return false;
    return protocols.length === 0 || protocols.some((one) => this.offered.includes(one));
  }

  /** What was read already goes out before the tunnel opens. */
  private pushSwitch(): void {
    const { request, response, connection, link } = this.exchange;
    const up = request.isOver ? RelayResult.Ended : request.push();
    const down = response.body.isOver ? RelayResult.Ended : response.push();
    if (up === RelayResult.SinkFailed) connection.terminate('upstream_reset');
    else if (down === RelayResult.SinkFailed) connection.terminate('client_reset');
    else if (up === RelayResult.Ended && down === RelayResult.Ended) connection.openTunnel(link);
  }

  private upstreamBroke(): void {
    const { exchange } = this;
    const { request, response, link, record } = exchange;
    const isSilent = response.reader.isUntouched && !this.hasHeard;
    const isRepeatable = isSilent && request.mayRepeat;
    const { wasIdle } = link;
    if (!wasIdle) link.attempts!.endpoint!.answered(502);
    if (!isRepeatable || !(wasIdle || this.retriesLeft > 0)) {
      this.upstreamFailed();
      return;
    }
    request.rewind();
    exchange.patience.stopExpecting();
    exchange.enter(ExchangeState.dialling);
    if (wasIdle) {
      record.reconnects++;
      link.reconnect();
      return;
    }
    this.retriesLeft--;
    link.attempts!.endpoint!.responded(0);
    if (!link.another()) this.upstreamFailed();
  }

  private requestMalformed(status: number): void {
    const { exchange } = this;
    if (exchange.state === ExchangeState.awaiting) exchange.answer.replace(status);
    else if (!exchange.endAnswered()) exchange.connection.terminate('client_reset');
  }

  /** The connection to the endpoint broke, or ended, and there is no response. */
  private upstreamFailed(): void {
    const { record, answer } = this.exchange;
    record.failed('upstream_reset');
    answer.replace(502);
  }

  private misanswered(rejection?: HttpRejection): void {
    const { record, answer } = this.exchange;
    record.misanswered(rejection);
    answer.replace(502);
  }
}
