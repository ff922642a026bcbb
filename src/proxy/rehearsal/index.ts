/**
 * What a thread goes through before its worker serves: connections of its own, over loopback, that are opened, used and
 * ended in every way that is common. V8 compiles a function by what it has seen happen in it, and throws
 * the result away when something happens for the first time: the first client that hangs up, the first timer.
 * Under load that costs everybody milliseconds; here it costs nobody anything.
 *
 * A rehearsal has a worker, upstream and counters of its own, so nothing of it is seen outside. It shares with the
 * worker that follows what V8 has learnt, and nothing else.
 */
export { rehearse } from './rehearsal.js';
