import { Epoll, type Transport } from '../splice/index.js';
import type { EventHandler, EventLoop } from './event-loop.js';
import { MUTED_EVENTS, SOCKET_EVENTS } from './socket-events.js';

/** Who hears of a connection. */
interface Listening extends EventHandler {
  readonly transport: Transport;
}

/**
 * What a connection wants to hear. While the other side takes nothing, bytes that arrive wake the worker in
 * vain, which a receiver slower than its sender turns into a wake-up per segment: after the first of them the
 * ear is closed to arriving bytes. Ends and errors are always heard.
 *
 * ```
 *   open ──bytes that nobody takes──▶ muted ──the socket was read dry──▶ open
 * ```
 *
 * A muted connection is `readable` until it was read dry, so nothing is forgotten.
 */
export class Ear {
  private isMuted = false;

  constructor(
    private readonly loop: EventLoop,
    private readonly handler: Listening,
  ) {}

  /** @returns 0, or a negative error number */
  register(): number {
    return this.loop.register(this.handler.transport.fd, SOCKET_EVENTS, this.handler);
  }

  /** There were events that nobody can do anything about now, as far as they are bytes. */
  ignore(events: number): void {
    if ((events & Epoll.EPOLLIN) === 0 || this.isMuted) return;
    this.isMuted = true;
    this.loop.modify(this.handler.transport.fd, MUTED_EVENTS, this.handler);
  }

  /** Something may have been read: a connection that was read dry must hear of the next byte. */
  listenAgain(): void {
    if (this.isMuted && !this.handler.transport.readable) this.open();
  }

  /** Everything is heard from now on; what waits is announced at once. */
  open(): void {
    if (!this.isMuted) return;
    this.isMuted = false;
    this.loop.modify(this.handler.transport.fd, SOCKET_EVENTS, this.handler);
  }
}
