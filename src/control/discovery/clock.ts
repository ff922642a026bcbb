/** Time as a parameter: the system's in production, one that is turned by hand in tests. */
export interface Clock {
  /** Milliseconds since a moment that does not matter; never goes back. */
  now(): number;
  /** Calls once, after at least `delayMs`, or after 24 days when that is more. */
  setTimeout(callback: () => void, delayMs: number): Timer;
}

export interface Timer {
  /** Takes the call back; nothing happens when it was made already. */
  cancel(): void;
}

/** Node's timers ring at once when asked for more. */
const DELAY_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, delayMs) {
    const timeout = setTimeout(callback, Math.min(delayMs, DELAY_MS_MAX));
    return { cancel: () => clearTimeout(timeout) };
  },
};
