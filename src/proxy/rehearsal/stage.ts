import { openConnection, Sockaddr, type SocketAddress } from '../../splice/index.js';
import { Counter } from '../counters.js';
import { TICK_MS, Timer, type TimerOwner } from '../timer-wheel.js';
import type { Worker } from '../worker.js';
import type { Origin } from './origin.js';
import { Peer } from './peer.js';
import type { Line } from './script.js';

/** All scenes together may take so long; loopback without traffic shaping needs a fraction. */
const TIME_MAX_MS = 500;
/** Until something that was sent over loopback has arrived, at most: usually it has. */
const WAIT_MS = 1;

/** A scene did not go on: loopback is filtered, or a descriptor was missing. The rehearsal ends there. */
export class Stuck extends Error {}

/** One request, or what stands for it. */
export interface Dialogue {
  readonly question: Line;
  /** How the question ends: what the origin waits for. */
  readonly cue: string;
  readonly answer: Line;
  /** How the answer ends: what the client waits for. */
  readonly end: string;
}

/**
 * A worker whose loop is turned by hand, with the origin behind it and clients before it, each of whom gets a turn
 * whenever the worker has had one.
 */
export class Stage implements TimerOwner {
  private readonly metronome = new Timer(this);
  private readonly untilMs: number;
  private readonly entrance: Sockaddr;
  private clients: Peer[] = [];

  /** @param address where the worker listens */
  constructor(
    private readonly worker: Worker,
    readonly origin: Origin,
    address: SocketAddress,
  ) {
    this.entrance = new Sockaddr(address);
    this.untilMs = worker.kernel.monotonicMs() + TIME_MAX_MS;
    this.onTimer();
  }

  /** No turn of the loop waits for longer than this takes. */
  onTimer(): void {
    this.worker.clock.wheel.schedule(this.metronome, this.worker.clock.nowMs + TICK_MS);
  }

  onException(error: unknown): void {
    throw error;
  }

  /** @throws Stuck without a descriptor */
  enter(): Peer {
    const fd = openConnection(this.worker.kernel, this.entrance);
    if (fd < 0) throw new Stuck();
    const client = new Peer(this.worker.kernel, fd);
    this.clients.push(client);
    return client;
  }

  /** Turns the loop until something has come about. @throws Stuck when it does not */
  until(hasComeAbout: () => boolean): void {
    for (;;) {
      this.work();
      if (hasComeAbout()) break;
      if (this.worker.kernel.monotonicMs() > this.untilMs) throw new Stuck();
      if (this.worker.clock.isBusy(WAIT_MS)) this.worker.clock.turn();
    }
    this.clients = this.clients.filter(({ isClosed }) => !isClosed);
  }

  /** Turns the loop for as long as there is something to do. */
  finish(): void {
    this.work();
    this.until(() => !this.worker.clock.isBusy(0));
  }

  /** Nothing happens for a while, but that a timer goes off now and then. */
  rest(): void {
    this.worker.clock.turn();
  }

  private work(): void {
    this.origin.work();
    for (const client of this.clients) client.work();
  }

  /** Each of the clients asks, then each is answered. */
  converse(clients: readonly Peer[], { question, cue, answer, end }: Dialogue): void {
    Object.assign(this.origin, { answer, cue });
    for (const client of clients) client.say(question);
    this.until(() => clients.every(({ tail, hasHeardAll }) => tail.endsWith(end) || hasHeardAll));
  }

  /** Lets the worker see what clients have left behind. */
  settle(): void {
    this.until(() => this.worker.counters.values[Counter.flows_active] === 0);
  }

  close(): void {
    for (const client of this.clients) client.reset();
    this.worker.clock.wheel.cancel(this.metronome);
  }
}
