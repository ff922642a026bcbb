import { setFlagsFromString } from 'node:v8';
import type { WorkerSnapshot } from '../../proxy/index.js';

/**
 * How much bytecode V8 takes into one optimized function, how much of one callee, and what is so short that it is
 * always taken. An HTTP request passes through many short methods, and the usual 920, 460 and 27 bytes leave most of
 * them to be called. With more than 2,000 in all a request costs the same, but V8 works half as long again at it in the
 * first seconds under load: the functions of a turn are nested, and each is compiled with what it calls. A TCP flow
 * passes through few: it gains nothing, and whenever something happens for the first time V8 has more to throw away and
 * to compile anew, which is milliseconds for everybody.
 */
export const inlining = [
  '--max-inlined-bytecode-size-cumulative=2000',
  '--max-inlined-bytecode-size=1500',
  '--max-inlined-bytecode-size-small=60',
] as const;

/**
 * V8 notes what happens in a function from the first call on, not from the eighth: warm-ups are short.
 * For all threads, which costs the others some memory.
 */
export const eagerFeedback = '--no-lazy-feedback-allocation';

/** Tells V8 how to optimize the data plane, from now on and for the whole process. */
export function prepareCompiler({ listeners }: Pick<WorkerSnapshot, 'listeners'>): void {
  setFlagsFromString(eagerFeedback);
  if (!listeners.some(({ http }) => http !== undefined)) return;
  for (const flag of inlining) setFlagsFromString(flag);
}
