import { Epoll, NativeMemory, Outcome, type Transport } from '../../../splice/index.js';
import { Ear } from '../../ear.js';
import type { EventHandler, EventLoop } from '../../event-loop.js';
import type { TlsSide } from '../../tls-side.js';
import type { TurnCalls } from '../../turn-calls.js';
import type { Endpoint } from '../../upstream/index.js';

/** Whom a connection's events are for. */
export interface UpstreamUser {
  onUpstreamEvents(events: number): void;
  /** Bytes have come: they may be read together with those of others. */
  readAhead?(calls: TurnCalls): void;
  onException(error: unknown): void;
}

/** What ends an idle connection: its end, and bytes that nobody asked for. */
const UNASKED_EVENTS =
  Epoll.EPOLLIN | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
/** Free again after each call. */
const probe = new NativeMemory(1);

const END_EVENTS = Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** Who is told that an idle connection is of no use any more. */
export interface IdleKeeper {
  /** Connections made under an earlier one do not come back. */
  readonly epoch: number;
  remove(connection: UpstreamConnection): void;
}

/** How a connection begins. */
export interface Making {
  readonly endpoint: Endpoint;
  /** Connected, or connecting. */
  readonly transport: Transport;
  readonly user: UpstreamUser;
}

/**
 * One connection to an endpoint, registered once for its whole life.
 *
 * ```
 *   connecting ──▶ in use ◀──▶ idle
 *        └────────────┴─────────┴──▶ closed
 * ```
 */
export class UpstreamConnection implements EventHandler {
  generation = 0;
  readonly endpoint: Endpoint;
  transport: Transport;
  /** Where the upstream speaks TLS. */
  tls: TlsSide | undefined;
  /** Of the pool when it was made. */
  readonly epoch: number;
  /** While it is in use. */
  user: UpstreamUser | undefined;
  /** It has carried an exchange before the present one. */
  isReused = false;
  /** The endpoint has said its last, or broken off. */
  hasEnded = false;
  idleSinceMs = 0;
  /** How long it may be idle by the endpoint's own words; Infinity where it has said nothing of it. */
  patienceMs = Number.POSITIVE_INFINITY;
  readonly ear: Ear;
  /** Neighbours among the idle ones of an endpoint. */
  older: UpstreamConnection | undefined;
  newer: UpstreamConnection | undefined;

  constructor(
    private readonly loop: EventLoop,
    private readonly keeper: IdleKeeper,
    { endpoint, transport, user }: Making,
  ) {
    this.endpoint = endpoint;
    this.transport = transport;
    this.user = user;
    this.epoch = keeper.epoch;
    this.ear = new Ear(loop, this);
  }

  /** @returns 0, or a negative error number */
  register(): number {
    return this.ear.register();
  }

  onEvents(events: number): void {
    this.transport.notice(events);
    if ((events & END_EVENTS) !== 0) this.hasEnded = true;
    if (this.user !== undefined) this.user.onUpstreamEvents(events);
    else if ((events & UNASKED_EVENTS) !== 0 && !this.isSilent()) this.keeper.remove(this);
  }

  get isUnused(): boolean {
    return this.user === undefined;
  }

  readAhead(calls: TurnCalls): void {
    this.user?.readAhead?.(calls);
  }

  onException(error: unknown): void {
    if (this.user !== undefined) this.user.onException(error);
    else this.close();
  }

  /** What came while it was idle was TLS's own affair: a session ticket, or other keys. */
  private isSilent(): boolean {
    if (this.tls === undefined || this.hasEnded) return false;
    return this.transport.read(probe.address, probe.byteLength) === Outcome.Blocked;
  }

  close(): void {
    this.tls?.end();
    this.loop.forget(this.transport.fd);
    this.transport.close(this.loop.calls);
  }

  reset(): void {
    this.tls?.end();
    this.loop.forget(this.transport.fd);
    this.transport.reset();
  }
}
