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
/** So often a place is left to other workers whose flows wait, too. */
const CONCESSION_MS = 200;

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
  private isDeferred = false;
  private concededMs = 0;

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
    this.concededMs = clock.nowMs;
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
    if (this.length === 0 || this.isDeferred) return;
    const { nowMs } = this.clock;
    if (this.ledger.isAwaitedElsewhere(this.slot) && nowMs - this.concededMs >= CONCESSION_MS) {
      this.concededMs = nowMs;
      return;
    }
    // Not at once: the flow that gave the place back is in the middle of its end.
    this.isDeferred = true;
    this.clock.defer(this);
  }

  runTask(): void {
    this.isDeferred = false;
    this.wake();
  }

  onTimer(): void {
    this.wake();
    if (this.length > 0) this.clock.wheel.schedule(this.pollTimer, this.clock.nowMs + POLL_MS);
  }

  /** Waiters answer for themselves; what gets here is a bug of the list. */
  onException(error: unknown): void {
    throw error;
  }

  /** Lets those in front try, in order. */
  private wake(): void {
    let misses = 0;
    let place = this.head.next!;
    while (place !== this.head && misses < MISSES_MAX) {
      const next = place.next!;
      try {
        place.waiter.onEndpointFree();
      } catch (error) {
        place.waiter.onException(error);
      }
      if (place.isQueued) misses++;
      // Whoever was next may have left meanwhile: the rest is asked at the next look.
      if (!next.isQueued) return;
      place = next;
    }
  }
}
