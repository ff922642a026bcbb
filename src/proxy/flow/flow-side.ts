import type { Pump, Transport } from '../../splice/index.js';
import { Ear } from '../ear.js';
import type { EventHandler, EventLoop } from '../event-loop.js';
import type { Session } from '../session.js';
import type { TurnCalls } from '../turn-calls.js';

/** Whom a side's events are for. */
export interface SideOwner {
  /** As the worker sees it. */
  readonly session: Session;
  onClientEvents(events: number): void;
  onUpstreamEvents(events: number): void;
  onException(error: unknown): void;
}

/** A flow's part in the events of one of its two sockets. */
export class FlowSide implements EventHandler {
  generation = 0;
  /** The pump that reads from this side, once there is one. */
  pump: Pump | undefined;
  private readonly ear: Ear;

  constructor(
    private readonly loop: EventLoop,
    readonly flow: SideOwner,
    /** Another one, once TLS is agreed on. */
    public transport: Transport,
    private readonly isClient: boolean,
  ) {
    this.ear = new Ear(loop, this);
  }

  /** A flow is there from its first registration to its last: its client's side stands for it. */
  get session(): Session | undefined {
    return this.isClient ? this.flow.session : undefined;
  }

  /** @returns 0, or a negative error number */
  register(): number {
    return this.ear.register();
  }

  onEvents(events: number): void {
    this.transport.notice(events);
    if (this.pump?.isHolding) this.ear.ignore(events);
    if (this.isClient) this.flow.onClientEvents(events);
    else this.flow.onUpstreamEvents(events);
  }

  readAhead(calls: TurnCalls): void {
    this.pump?.askAhead(calls);
  }

  onException(error: unknown): void {
    this.flow.onException(error);
  }

  /** After pumping. */
  listenAgain(): void {
    this.ear.listenAgain();
  }

  /** For good. @param isOrderly with a FIN; with an RST otherwise */
  close(isOrderly: boolean): void {
    this.loop.forget(this.transport.fd);
    if (isOrderly) this.transport.close(this.loop.calls);
    else this.transport.reset();
  }
}
