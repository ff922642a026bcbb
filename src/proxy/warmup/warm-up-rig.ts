import { errnoName, openConnection, Sockaddr, type SocketAddress } from '../../splice/index.js';
import { Counter } from '../counters.js';
import { TICK_MS, Timer, type TimerOwner } from '../timer-wheel.js';
import type { Worker } from '../worker.js';
import type { Message } from './message.js';
import type { Origin } from './origin.js';
import { Peer } from './peer.js';

/** Until something that was sent over loopback has arrived, at most: usually it has. */
const WAIT_MS = 1;

/** A scenario did not go on, and says why. The warm-up ends there. */
export class Stuck extends Error {}

/** One request, or what stands for it. */
export interface RoundTrip {
  readonly request: Message;
  /** How the request ends: what the origin waits for. */
  readonly requestEnd: string;
  readonly response: Message;
  /** How the response ends: what the client waits for. */
  readonly responseEnd: string;
}

/**
 * A worker whose loop is turned by hand, with the origin behind it and clients before it, each of whom gets a turn
 * whenever the worker has had one.
 */
export class WarmUpRig implements TimerOwner {
  private readonly ticker = new Timer(this);
  private readonly listener: Sockaddr;
  private clients: Peer[] = [];

  /**
   * @param address where the worker listens
   * @param untilMs when all has to be over, on the kernel's clock
   */
  constructor(
    private readonly worker: Worker,
    readonly origin: Origin,
    address: SocketAddress,
    private readonly untilMs: number,
  ) {
    this.listener = new Sockaddr(address);
    this.onTimer();
  }

  /** No turn of the loop waits for longer than this takes. */
  onTimer(): void {
    this.worker.clock.wheel.schedule(this.ticker, this.worker.clock.nowMs + TICK_MS);
  }

  onException(error: unknown): void {
    throw error;
  }

  /** @throws Stuck without a descriptor */
  connect(): Peer {
    const fd = openConnection(this.worker.kernel, this.listener);
    if (fd < 0) throw new Stuck(`no connection over loopback: ${errnoName(-fd)}`);
    const client = new Peer(this.worker.kernel, fd);
    this.clients.push(client);
    return client;
  }

  /** Turns the loop until something has come about. @throws Stuck when it does not */
  until(hasComeAbout: () => boolean): void {
    for (;;) {
      this.work();
      if (hasComeAbout()) break;
      if (this.worker.kernel.monotonicMs() > this.untilMs) {
        throw new Stuck('what was sent over loopback was not answered in time');
      }
      if (this.worker.clock.isBusy(WAIT_MS)) this.worker.clock.turn();
    }
    this.clients = this.clients.filter(({ isClosed }) => !isClosed);
  }

  /** Turns the loop for as long as there is something to do. */
  finish(): void {
    this.until(() => !this.worker.clock.isBusy(0));
  }

  /** Nothing happens until a timer goes off. */
  rest(): void {
    this.worker.clock.turn();
  }

  private work(): void {
    this.origin.work();
    for (const client of this.clients) client.work();
  }

  /** Each of the clients asks, then each is answered. @param isLast they say no more after that */
  exchange(
    clients: readonly Peer[],
    { request, requestEnd, response, responseEnd }: RoundTrip,
    isLast = false,
  ): void {
    this.origin.response = response;
    this.origin.requestEnd = requestEnd;
    for (const client of clients) {
      client.say(request);
      if (isLast) client.finish();
    }
    this.until(() =>
      clients.every(({ tail, hasHeardAll }) => tail.endsWith(responseEnd) || hasHeardAll),
    );
    if (clients.some(({ tail }) => !tail.endsWith(responseEnd)))
      throw new Stuck('a response did not come');
  }

  /** Lets the worker see what clients have left behind. */
  settle(): void {
    this.until(() => this.worker.counters.values[Counter.flows_active] === 0);
  }

  close(): void {
    for (const client of this.clients) client.reset();
    this.worker.clock.wheel.cancel(this.ticker);
  }
}
