// A clock that a test turns by hand.
import type { Clock, Timer } from '#src/control/discovery/index.js';

export class ManualClock implements Clock {
  #nowMs = 1_000;
  readonly #timers = new Map<Timer, { dueMs: number; callback: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  setTimeout(callback: () => void, delayMs: number): Timer {
    const timer: Timer = { cancel: () => this.#timers.delete(timer) };
    this.#timers.set(timer, { dueMs: this.#nowMs + delayMs, callback });
    return timer;
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** How long until the next timer rings, milliseconds. */
  get nextMs(): number {
    const dueMs = [...this.#timers.values()].map((timer) => timer.dueMs);
    return Math.min(...dueMs) - this.#nowMs;
  }

  /** Turns the clock on; what falls due rings at its time, in order. */
  advance(durationMs: number): void {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const due = [...this.#timers].filter(([, { dueMs }]) => dueMs <= endMs);
      const [first] = due.sort(([, one], [, other]) => one.dueMs - other.dueMs);
      if (first === undefined) break;
      const [timer, { dueMs, callback }] = first;
      this.#timers.delete(timer);
      this.#nowMs = Math.max(this.#nowMs, dueMs);
      callback();
    }
    this.#nowMs = endMs;
  }
}
