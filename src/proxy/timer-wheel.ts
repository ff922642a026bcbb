/** Who a timer wakes. */
export interface TimerOwner {
  /** The deadline has passed. The timer is idle again and may be scheduled anew. */
  onTimer(timer: Timer): void;
  /** `onTimer` threw: end what the owner stands for, and nothing else. */
  onException(error: unknown): void;
}

/** One deadline; a flow has one for its whole life and moves it. */
export class Timer {
  /** When it goes off, on the loop's clock in milliseconds; meaningless while idle. */
  deadlineMs = 0;
  /** Neighbours in the wheel's slot; `undefined` on both sides while idle. */
  previous: Timer | undefined;
  next: Timer | undefined;

  constructor(readonly owner: TimerOwner) {}

  get isScheduled(): boolean {
    return this.next !== undefined;
  }
}

/** Timers go off at most this much late. */
export const TICK_MS = 32;
const SLOTS = 2048;
const MASK = SLOTS - 1;

const noOwner: TimerOwner = { onTimer: () => {}, onException: () => {} };

/**
 * A hashed timer wheel (Varghese and Lauck, 1987): scheduling and cancelling cost a few stores
 * whatever the number of timers, and allocate nothing. A deadline beyond the wheel's 65 seconds
 * waits in the last slot and is put in again when that comes round.
 */
export class TimerWheel {
  /** Timers scheduled. */
  size = 0;
  private readonly slots: Timer[] = [];
  /** The last tick that has been worked off. */
  private currentTick: number;
  /** No slot before this tick has a timer; may be too early after a cancellation, never too late. */
  private nextTick = Number.POSITIVE_INFINITY;

  /** @param nowMs the loop's clock */
  constructor(nowMs: number) {
    this.currentTick = Math.floor(nowMs / TICK_MS);
    for (let index = 0; index < SLOTS; index++) {
      const head = new Timer(noOwner);
      head.previous = head;
      head.next = head;
      this.slots.push(head);
    }
  }

  /** Sets a timer, or moves one that is set already. */
  schedule(timer: Timer, deadlineMs: number): void {
    this.cancel(timer);
    timer.deadlineMs = deadlineMs;
    const due = Math.max(Math.ceil(deadlineMs / TICK_MS), this.currentTick + 1);
    const tick = Math.min(due, this.currentTick + MASK);
    const head = this.slots[tick & MASK]!;
    timer.previous = head.previous;
    timer.next = head;
    head.previous!.next = timer;
    head.previous = timer;
    this.size++;
    if (tick < this.nextTick) this.nextTick = tick;
  }

  /** Takes a timer out; an idle one is left alone. */
  cancel(timer: Timer): void {
    if (timer.next === undefined) return;
    timer.previous!.next = timer.next;
    timer.next.previous = timer.previous;
    timer.previous = undefined;
    timer.next = undefined;
    this.size--;
  }

  /** Wakes the owners of all timers whose deadline has passed. */
  advance(nowMs: number): void {
    const target = Math.floor(nowMs / TICK_MS);
    while (this.nextTick <= target) {
      this.currentTick = this.nextTick;
      this.expire(this.slots[this.currentTick & MASK]!, nowMs);
      this.nextTick = this.findNextTick();
    }
    if (target > this.currentTick) this.currentTick = target;
  }

  /** When to call {@link advance} next, on the loop's clock; infinite when no timer is set. */
  get dueMs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.nextTick * TICK_MS;
  }

  private expire(head: Timer, nowMs: number): void {
    // The timers of this slot as they are now: an owner may schedule new ones while we walk.
    let left = 0;
    for (let timer = head.next!; timer !== head; timer = timer.next!) left++;
    while (left-- > 0 && head.next !== head) {
      const timer = head.next!;
      this.cancel(timer);
      if (timer.deadlineMs > nowMs) this.schedule(timer, timer.deadlineMs);
      else this.wake(timer);
    }
  }

  private wake(timer: Timer): void {
    try {
      timer.owner.onTimer(timer);
    } catch (error) {
      timer.owner.onException(error);
    }
  }

  private findNextTick(): number {
    if (this.size === 0) return Number.POSITIVE_INFINITY;
    for (let tick = this.currentTick + 1; tick <= this.currentTick + SLOTS; tick++) {
      const head = this.slots[tick & MASK]!;
      if (head.next !== head) return tick;
    }
    return Number.POSITIVE_INFINITY;
  }
}
