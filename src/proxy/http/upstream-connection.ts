import { Epoll, type Transport } from '../../splice/index.js';
import type { EventHandler, EventLoop } from '../event-loop.js';
import { SOCKET_EVENTS } from '../socket-events.js';
import type { Endpoint } from '../upstream/index.js';

/** Whom a connection's events are for. */
export interface UpstreamUser {
  onUpstreamEvents(events: number): void;
  onException(error: unknown): void;
}

/** What ends an idle connection: its end, and bytes that nobody asked for. */
const UNASKED_EVENTS =
  Epoll.EPOLLIN | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;
const END_EVENTS = Epoll.EPOLLRDHUP | Epoll.EPOLLHUP | Epoll.EPOLLERR;

/** Who is told that an idle connection is of no use any more. */
export interface IdleKeeper {
  remove(connection: UpstreamConnection): void;
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
  /** While it is in use. */
  user: UpstreamUser | undefined;
  /** It has carried an exchange before the present one. */
  isReused = false;
  /** The endpoint has said its last, or broken off. */
  hasEnded = false;
  idleSinceMs = 0;
  /** Neighbours among the idle ones of an endpoint. */
  older: UpstreamConnection | undefined;
  newer: UpstreamConnection | undefined;

  constructor(
    private readonly loop: EventLoop,
    private readonly keeper: IdleKeeper,
    readonly endpoint: Endpoint,
    readonly transport: Transport,
    /** Of the pool when it was made. */
    readonly epoch: number,
    user: UpstreamUser,
  ) {
    this.user = user;
  }

  /** @returns 0, or a negative error number */
  register(): number {
    return this.loop.register(this.transport.fd, SOCKET_EVENTS, this);
  }

  onEvents(events: number): void {
    this.transport.notice(events);
    if ((events & END_EVENTS) !== 0) this.hasEnded = true;
    if (this.user !== undefined) this.user.onUpstreamEvents(events);
    else if ((events & UNASKED_EVENTS) !== 0) this.keeper.remove(this);
  }

  onException(error: unknown): void {
    if (this.user !== undefined) this.user.onException(error);
    else this.close();
  }

  close(): void {
    this.loop.forget(this.transport.fd);
    this.transport.close();
  }

  reset(): void {
    this.loop.forget(this.transport.fd);
    this.transport.reset();
  }
}
