/** Time as a parameter: the system's in production, one that is turned by hand in tests. */
export interface Clock {
  /** Milliseconds since a moment that does not matter; never goes back. */
  now(): number;
  /** @param delayMs 0 to 2³¹ − 1 */
  setTimeout(callback: () => void, delayMs: number): Timer;
}

export interface Timer {
  /** Takes the call back; nothing happens when it was made already. */
  cancel(): void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout(callback, delayMs) {
    const timeout = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
};
