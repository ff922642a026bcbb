/** A client that has only just connected may still be about to speak, although the proxy is stopping. */
const SILENCE_MS = 1000;

/**
 * The proxy is stopping: when a client is let go that has to speak first and has not said a word.
 *
 * @param quietSinceMs when it connected, or last did anything, such as to say a PROXY header
 * @param deadlineMs when its time would be up otherwise
 * @returns not before now, so that its events of this turn are seen
 */
export function silenceEndsMs(quietSinceMs: number, deadlineMs: number, nowMs: number): number {
  return Math.max(Math.min(quietSinceMs + SILENCE_MS, deadlineMs), nowMs);
}
