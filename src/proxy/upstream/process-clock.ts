/**
 * `performance.now()` counts from the start of its thread, `process.hrtime` from a moment that is
 * the same for all threads; both read CLOCK_MONOTONIC, so between them lies a constant.
 */
const threadOriginMs = Number(process.hrtime.bigint()) / 1e6 - performance.now();

/**
 * Monotonic milliseconds that threads of one process can compare.
 *
 * @param threadMs this thread's `performance.now()`, which is also what the event loop's clock says
 */
export function processMs(threadMs: number = performance.now()): number {
  return threadOriginMs + threadMs;
}
