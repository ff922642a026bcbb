/**
 * What a thread goes through before its worker serves: connections of its own, over loopback, that are opened, used and
 * ended in every way that is common. V8 compiles a function by what it has seen happen in it, and throws
 * the result away when something happens for the first time: the first client that hangs up, the first timer.
 * Under load that costs everybody milliseconds; here it costs nobody anything.
 *
 * A warm-up has a worker, upstream, counters and limits of its own, so nothing of it is seen outside. What the worker that
 * follows has of it is what V8 has learnt, and memory that cannot be given back.
 */
export { warmUp } from './warm-up.js';
export { Stuck } from './warm-up-rig.js';
