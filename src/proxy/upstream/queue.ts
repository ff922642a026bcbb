import type { Task } from '../event-loop.js';
import { Timer, type TimerOwner, type TimerWheel } from '../timer-wheel.js';
import type { EndpointLedger } from './endpoint-ledger.js';

/** Who waits for a place at any endpoint of an upstream. */
export interface Waiter {
  /**
   * There may be a place. Whoever finds one, or has no reason to wait any longer, leaves the queue;
   * whoever does not stays where it is.
   */
  onEndpointFree(): void;
  /** `onEndpointFree` threw: leave the queue. */
  onException(error: unknown): void;
}

/** The parts of the event loop that a queue uses. */
export interface Scheduler {
  readonly nowMs: number;
  readonly wheel: TimerWheel;
  defer(task: Task): void;
}

/** A waiter's place in the queue: a link of a list, so that leaving from the middle costs nothing. */
export class QueuePlace {
  /** Neighbours; `undefined` on both sides while not in a queue. */
  previous: QueuePlace | undefined;
  next: QueuePlace | undefined;

  constructor(readonly waiter: Waiter) {}

  get isQueued(): boolean {
    return this.next !== undefined;
  }
}

/** How often a queue looks for places that other workers gave back; the timer wheel rounds it up. */
const POLL_MS = 20;
/** Waiters that find nothing before the others are not asked: what suits nobody here suits few. */
const MISSES_MAX = 8;
/** So often a place is left to other workers whose flows wait, too… */
const CONCESSION_MS = 200;
/** …and for so long not looked for here: each of the others looks once in that time. */
const CONCESSION_REST_MS = 64;

const nobody: Waiter = { onEndpointFree: () => {}, onException: () => {} };

/**
 * The flows of one worker that wait for an endpoint of one upstream, first come, first served.
 *
 * A place that comes free in this worker goes to the first in line, next turn. Places that other
 * workers give back show only in the endpoint table, so the queue also looks there from time to
 * time. Between workers there is no order, but none starves: a busy worker leaves a place to the
 * others now and then.
 */
export class EndpointQueue implements Task, TimerOwner {
  length = 0;
  private readonly head = new QueuePlace(nobody);
  private readonly pollTimer = new Timer(this);
  /** Places that came free in this worker since the last turn. */
  private placesFreed = 0;
  private nextConcessionMs = 0;
  private restsUntilMs = 0;

  /**
   * @param slot the upstream's own
   * @param max flows that may wait, over all workers
   */
  constructor(
    private readonly clock: Scheduler,
    private readonly ledger: EndpointLedger,
    private readonly slot: number,
    private readonly max: number,
  ) {
    this.head.previous = this.head;
    this.head.next = this.head;
  }

  /** Joins at the end. @returns false when the queue is full */
  join(place: QueuePlace): boolean {
    if (!this.ledger.startWaiting(this.slot, this.max)) return false;
    const { head, clock } = this;
    place.previous = head.previous;
    place.next = head;
    head.previous!.next = place;
    head.previous = place;
    if (this.length++ > 0) return true;
    this.nextConcessionMs = clock.nowMs + CONCESSION_MS;
    clock.wheel.schedule(this.pollTimer, clock.nowMs + POLL_MS);
    return true;
  }

  /** Leaves from wherever it is; a place that is not queued is left alone. */
  leave(place: QueuePlace): void {
    if (place.next === undefined) return;
    place.previous!.next = place.next;
    place.next.previous = place.previous;
    place.previous = undefined;
    place.next = undefined;
    this.ledger.stopWaiting(this.slot);
    if (--this.length === 0) this.clock.wheel.cancel(this.pollTimer);
  }

  /** A place at an endpoint came free in this worker. */
  placeFreed(): void {
    if (this.length === 0 || this.concedes()) return;
    // Not at once: the flow that gave the place back is in the middle of its end.
    if (this.placesFreed++ === 0) this.clock.defer(this);
  }

  runTask(): void {
    const places = this.placesFreed;
    this.placesFreed = 0;
    this.wake(places);
  }

  onTimer(): void {
    if (this.clock.nowMs >= this.restsUntilMs) this.wake(this.length);
    if (this.length > 0) this.clock.wheel.schedule(this.pollTimer, this.clock.nowMs + POLL_MS);
  }

  /** Waiters answer for themselves; what gets here is a bug of the list. */
  onException(error: unknown): void {
    throw error;
  }

  private concedes(): boolean {
    const { nowMs } = this.clock;
    if (nowMs < this.nextConcessionMs || !this.ledger.isAwaitedElsewhere(this.slot)) return false;
    this.nextConcessionMs = nowMs + CONCESSION_MS;
    this.restsUntilMs = nowMs + CONCESSION_REST_MS;
    return true;
  }

  /** Lets those in front try, in order, until so many have left. */
  private wake(places: number): void {
    let left = places;
    let misses = 0;
    let place = this.head.next!;
    while (place !== this.head && left > 0 && misses < MISSES_MAX) {
      const next = place.next!;
      try {
        place.waiter.onEndpointFree();
      } catch (error) {
        place.waiter.onException(error);
        // It took no place with it.
        left++;
      }
      if (place.isQueued) misses++;
      else left--;
      // Whoever was next may have left meanwhile: the rest is asked at the next look.
      if (!next.isQueued) return;
      place = next;
    }
  }
}
