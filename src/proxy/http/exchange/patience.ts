import { Lull } from '../../lull.js';
import type { WorkerRoom } from '../../room.js';
import type { HttpRoute } from '../http-route.js';
import type { RouteTimeouts } from '../http-snapshot.js';
import { Lateness } from '../lateness.js';
import { BodyRate } from './body-rate.js';
import type { Exchange } from './exchange.js';
import { ExchangeState } from './exchange-state.js';

const NEVER = Number.POSITIVE_INFINITY;

const nothingSaid: RouteTimeouts = {
  connectMs: null,
  idleMs: null,
  requestMs: null,
  responseMs: null,
  tunnelMs: null,
};

/**
 * How long an exchange is waited for: the route's timeouts where it has its own, the worker's as they are now
 * otherwise. It keeps deadlines, not timers: the connection's one timer goes off no later than the first of
 * them, and then it is asked what is late.
 */
export class Patience {
  private own = nothingSaid;
  private beganMs = 0;
  /** Of the whole request. */
  private deadlineMs = NEVER;
  /** Of the response's beginning. */
  private responseDueMs = NEVER;
  private readonly bodyRate = new BodyRate();
  private readonly lull: Lull;

  constructor(
    private readonly room: WorkerRoom,
    private readonly exchange: Exchange,
  ) {
    this.lull = new Lull(room);
  }

  /** @param beganMs when the first byte of the request came */
  begin(beganMs: number): void {
    this.beganMs = beganMs;
    this.own = nothingSaid;
    this.deadlineMs = after(beganMs, this.room.timeouts.requestMs);
    this.responseDueMs = NEVER;
    this.lull.begin();
    this.bodyRate.stop();
  }

  /** The request takes a route. */
  follow({ timeouts }: HttpRoute): void {
    if (timeouts === undefined) return;
    this.own = timeouts;
    if (timeouts.requestMs !== null) this.deadlineMs = after(this.beganMs, timeouts.requestMs);
  }

  get connectMs(): number {
    return this.own.connectMs ?? this.room.timeouts.connectMs;
  }

  get idleMs(): number {
    return this.own.idleMs ?? this.room.timeouts.idleMs;
  }

  get tunnelMs(): number {
    return this.own.tunnelMs ?? this.room.timeouts.tunnelMs;
  }

  /** No later than at the whole request's end. */
  atMost(deadlineMs: number): number {
    return Math.min(deadlineMs, this.deadlineMs);
  }

  /** There is an endpoint to send the body to. @param bytesPerSecond that the client must send of it */
  expectBody(bytesPerSecond: number): void {
    const { nowMs } = this.room.clock;
    this.bodyRate.begin(this.exchange.request.body, bytesPerSecond, nowMs);
  }

  /** The endpoint has the whole request. */
  expectResponse(): void {
    const { clock, timeouts } = this.room;
    this.responseDueMs = after(clock.nowMs, this.own.responseMs ?? timeouts.responseMs);
    if (this.responseDueMs !== NEVER) this.exchange.connection.expectBy(this.responseDueMs);
  }

  /** The response has begun, or the endpoint has failed. */
  stopExpecting(): void {
    this.responseDueMs = NEVER;
  }

  /** The protocol is switched: from now on only silence counts. */
  stopCounting(): void {
    this.deadlineMs = NEVER;
    this.responseDueMs = NEVER;
    this.bodyRate.stop();
  }

  /** When something will be late, unless something happens. */
  get dueMs(): number {
    return Math.min(this.idleDueMs, this.deadlineMs, this.responseDueMs, this.bodyRate.dueMs);
  }

  /** What is late by now, if anything is. */
  check(): Lateness {
    const { nowMs } = this.room.clock;
    if (nowMs >= this.deadlineMs) return Lateness.request;
    if (this.exchange.state === ExchangeState.dialling) return Lateness.none;
    if (nowMs >= this.responseDueMs) return Lateness.response;
    const { mayReceiveBody } = this.exchange;
    if (nowMs >= this.bodyRate.dueMs && this.bodyRate.isLate(nowMs, mayReceiveBody)) {
      return Lateness.body_rate;
    }
    return this.isIdle ? Lateness.idle : Lateness.none;
  }

  private get idleDueMs(): number {
    return this.lull.dueMs(this.exchange.connection, this.idleMs);
  }

  private get isIdle(): boolean {
    const { connection, link } = this.exchange;
    return this.lull.isTooLong(
      connection,
      this.idleMs,
      connection.transport,
      link.connection?.transport,
    );
  }
}

/** @param ms 0 for never */
function after(beginMs: number, ms: number): number {
  return ms === 0 ? NEVER : beginMs + ms;
}
