import type { EventPoll } from '../splice/index.js';
import { Counter, type Counters } from './counters.js';

/** Looks before sleeping: about 2 µs, no more than going to sleep and being woken costs. */
const LOOKS_MAX = 8;
/** Successes that are remembered: so many failures in a row end the looking. */
const CREDIT_MAX = 8;
/** While looking does not pay, one wait in so many finds out whether it would by now. */
const PROBE_WAITS = 64;

/**
 * Waits for events, and looks for them a few times more before it sleeps, as long as that pays. A
 * worker under load would else sleep for some microseconds after every handful of events: each time
 * it gives its processor up, and whoever sends the next bytes has to wake it, which with an idle
 * processor is an interrupt to another one. One that looks for as long as a sleep would have cost
 * never spends more than twice what was needed (the argument of spin-then-park mutexes).
 *
 * Whether it pays is learnt. The first look counts for nothing: what it finds had come before, and
 * epoll_wait(2) would not have slept. A later one that finds events earns a credit, looking in vain costs
 * one; without credit there is no looking but for a probe now and then. So a quiet worker sleeps at once.
 */
export class BusyPoll {
  /** One to begin with: the first wait looks, and V8 sees that path early. */
  private credit = 1;
  private waits = 0;

  constructor(
    private readonly poll: EventPoll,
    private readonly counters: Counters,
  ) {}

  /** @returns the number of events, or a negative error number: as {@link EventPoll.wait} without end */
  wait(): number {
    if (this.credit === 0) {
      this.waits = (this.waits + 1) % PROBE_WAITS;
      if (this.waits !== 0) return this.poll.wait(-1);
    }
    const count = this.poll.wait(0);
    return count === 0 ? this.lookAgain() : count;
  }

  private lookAgain(): number {
    const { poll, counters } = this;
    let count = 0;
    for (let look = 1; look < LOOKS_MAX && count === 0; look++) count = poll.wait(0);
    // No branches: code compiled after hits only would be thrown away at the first miss.
    const hasPaid = count !== 0;
    this.credit = Math.min(Math.max(this.credit + (hasPaid ? 1 : -1), 0), CREDIT_MAX);
    counters.values[hasPaid ? Counter.busy_polls_hit : Counter.busy_polls_missed]!++;
    return hasPaid ? count : poll.wait(-1);
  }
}
