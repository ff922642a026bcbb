import { Epoll, type Pump, type Transport } from '../splice/index.js';
import type { EventHandler, EventLoop } from './event-loop.js';
import type { Session } from './session.js';
import { MUTED_EVENTS, SOCKET_EVENTS } from './socket-events.js';

/** Whom a side's events are for. */
export interface SideOwner {
  /** As the worker sees it. */
  readonly session: Session;
  onClientEvents(events: number): void;
  onUpstreamEvents(events: number): void;
  onException(error: unknown): void;
}

/** A flow's ear at one of its two sockets. */
export class FlowSide implements EventHandler {
  generation = 0;
  /** The pump that reads from this side, once there is one. */
  pump: Pump | undefined;
  /**
   * Arriving bytes raise no events. While the other side takes nothing each of them would wake the
   * worker in vain, which a receiver slower than its sender turns into a wake-up per segment.
   */
  private isMuted = false;

  constructor(
    private readonly loop: EventLoop,
    readonly flow: SideOwner,
    /** Another one, once TLS is agreed on. */
    public transport: Transport,
    private readonly isClient: boolean,
  ) {}

  /** A flow is there from its first registration to its last: its client's side stands for it. */
  get session(): Session | undefined {
    return this.isClient ? this.flow.session : undefined;
  }

  /** @returns 0, or a negative error number */
  register(): number {
    return this.loop.register(this.transport.fd, SOCKET_EVENTS, this);
  }

  onEvents(events: number): void {
    this.transport.notice(events);
    if ((events & Epoll.EPOLLIN) !== 0 && this.pump?.isHolding && !this.isMuted) this.mute();
    if (this.isClient) this.flow.onClientEvents(events);
    else this.flow.onUpstreamEvents(events);
  }

  onException(error: unknown): void {
    this.flow.onException(error);
  }

  /** After pumping: a side that was read dry must hear of the next byte. */
  listenAgain(): void {
    if (!this.isMuted || this.transport.readable) return;
    this.isMuted = false;
    this.loop.modify(this.transport.fd, SOCKET_EVENTS, this);
  }

  /** For good. @param isOrderly with a FIN; with an RST otherwise */
  close(isOrderly: boolean): void {
    this.loop.forget(this.transport.fd);
    if (isOrderly) this.transport.close();
    else this.transport.reset();
  }

  private mute(): void {
    this.isMuted = true;
    this.loop.modify(this.transport.fd, MUTED_EVENTS, this);
  }
}
