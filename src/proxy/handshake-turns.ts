import { Epoll, type Kernel } from '../splice/index.js';
import { Counter, type Counters } from './counters.js';
import type { EventLoop, Task } from './event-loop.js';
import type { TlsSideName } from './tls-counters.js';

/** What handshakes may take of one turn, as a rule: about one step, or several of those that resume a session. */
const TURN_MS = 0.2;
const ANY_EVENTS = Epoll.EPOLLIN | Epoll.EPOLLOUT;

interface Postponed {
  generation: number;
  events: number;
}

/**
 * Whose handshake goes on in this turn of the loop. A step of one costs as much as dozens of requests: if a turn
 * made all that are due, those who connect together, or on purpose, would hold up everybody else. When
 * a turn's time is used up the events of the others wait in line, and come again in the next turn as
 * if epoll had just reported them. Those with endpoints have a line of their own, which goes first: clients wait for
 * them that have a connection already. At least one step of each line is made in each turn.
 *
 * ```
 *   events ──▶ admit ──time left, nobody waits──▶ a step of the handshake
 *                │                                   ▲
 *                └──▶ line ──next turn, in order─────┘
 * ```
 */
export class HandshakeTurns implements Task {
  private turn = -1;
  private spentMs = 0;
  /** By descriptor, in order of arrival. */
  private readonly upstreamLine = new Map<number, Postponed>();
  private readonly clientLine = new Map<number, Postponed>();
  private isDeferred = false;
  /** The one that is made now has waited its turn. */
  private isServing = false;

  constructor(
    private readonly kernel: Pick<Kernel, 'monotonicMs'>,
    private readonly clock: EventLoop,
    private readonly counters: Counters,
  ) {}

  /**
   * @param fd as registered with the loop
   * @param events what epoll reported; 0 for a try without an event
   * @param side the other side of the handshake
   * @returns false when the step is to wait: the loop brings the events again
   */
  admit(fd: number, events: number, side: TlsSideName): boolean {
    const line = side === 'client' ? this.clientLine : this.upstreamLine;
    const ahead = this.upstreamLine.size + (side === 'client' ? line.size : 0);
    if (this.isServing || (ahead === 0 && this.hasTime())) return true;
    const generation = this.clock.generationOf(fd);
    if (generation === undefined) return true;
    const known = line.get(fd);
    if (known?.generation === generation) known.events |= events || ANY_EVENTS;
    else {
      // A descriptor that is used anew has its place at the end.
      line.delete(fd);
      line.set(fd, { generation, events: events || ANY_EVENTS });
      this.counters.values[Counter.handshakes_delayed]!++;
    }
    this.defer();
    return false;
  }

  /** A step begins. @returns what {@link end} wants to know */
  begin(): number {
    this.lookAtTurn();
    return this.kernel.monotonicMs();
  }

  end(beganMs: number): void {
    this.spentMs += this.kernel.monotonicMs() - beganMs;
  }

  /** Those in line, as far as the turn's time goes; once a turn. */
  runTask(): void {
    this.isDeferred = false;
    this.serve(this.upstreamLine);
    this.serve(this.clientLine);
    if (this.upstreamLine.size + this.clientLine.size > 0) this.defer();
  }

  /** The first one goes on in any case. */
  private serve(line: Map<number, Postponed>): void {
    for (const [fd, { generation, events }] of line) {
      line.delete(fd);
      this.isServing = true;
      this.clock.deliver(fd, generation, events);
      this.isServing = false;
      if (!this.hasTime()) return;
    }
  }

  /** Handlers are told of exceptions of their own. */
  onException(error: unknown): void {
    throw error;
  }

  private hasTime(): boolean {
    this.lookAtTurn();
    return this.spentMs < TURN_MS;
  }

  /** In another turn nothing is spent yet. */
  private lookAtTurn(): void {
    const turn = this.counters.values[Counter.loop_turns]!;
    if (turn === this.turn) return;
    this.turn = turn;
    this.spentMs = 0;
  }

  private defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.clock.defer(this);
  }
}
