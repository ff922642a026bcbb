import t from 'tap';
import { BusyPoll } from '#src/proxy/busy-poll.js';
import { COUNTER_REGION_BYTES, Counter, Counters } from '#src/proxy/index.js';
import { Errno, type EventPoll } from '#src/splice/index.js';

/** How epoll answers looks, one after the other; a wait without end always finds an event. */
class Answers {
  /** The timeouts that were asked for. */
  readonly asked: number[] = [];
  readonly counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  readonly busyPoll: BusyPoll;
  /** Which look in a row finds something; −1 for none. */
  hitAt = -1;
  private looks = 0;

  constructor() {
    const wait = (timeoutMs: number): number => {
      this.asked.push(timeoutMs);
      const isHit = timeoutMs === -1 || this.looks === this.hitAt;
      this.looks = isHit ? 0 : this.looks + 1;
      return isHit ? 1 : 0;
    };
    this.busyPoll = new BusyPoll({ wait } as unknown as EventPoll, this.counters);
  }

  /** @returns what was asked for meanwhile */
  wait(times = 1): number[] {
    this.asked.length = 0;
    for (let index = 0; index < times; index++) {
      this.looks = 0;
      if (this.busyPoll.wait() !== 1) throw new Error('no event');
    }
    return [...this.asked];
  }

  get counted(): [hits: number, misses: number] {
    const { values } = this.counters;
    return [values[Counter.busy_polls_hit]!, values[Counter.busy_polls_missed]!];
  }
}

const IN_VAIN = [0, 0, 0, 0, 0, 0, 0, 0, -1];

t.test('busy poll: a quiet worker sleeps at once, and looks once in 64 waits', async (t) => {
  const answers = new Answers();
  const asked = answers.wait(640);
  t.equal(asked.filter((timeout) => timeout === -1).length, 640);
  t.equal(asked.length, 640 + 10 * 8, 'ten probes of eight looks');
  t.same(answers.counted, [0, 10]);
});

t.test('busy poll: a new worker looks at its first wait', async (t) => {
  const answers = new Answers();
  t.same(answers.wait(), IN_VAIN);
  t.same(answers.wait(), [-1]);
});

t.test('busy poll: what a later look finds earns more looking', async (t) => {
  const answers = new Answers();
  answers.wait();
  answers.hitAt = 3;
  answers.wait(64);
  t.same(answers.counted, [1, 1], 'the probe');
  t.same(answers.wait(2), [0, 0, 0, 0, 0, 0, 0, 0], 'no more sleep');
  t.same(answers.counted, [3, 1]);
});

t.test('busy poll: what the first look finds says nothing', async (t) => {
  const answers = new Answers();
  answers.wait();
  answers.hitAt = 0;
  answers.wait(640);
  t.same(answers.counted, [0, 1]);
  answers.hitAt = -1;
  t.same(answers.wait(), [-1], 'no credit was earned');
});

t.test('busy poll: as many failures as there is credit end it, eight at most', async (t) => {
  const answers = new Answers();
  answers.hitAt = 1;
  answers.wait(64 + 100);
  answers.hitAt = -1;
  t.same(answers.wait(8), Array.from({ length: 8 }, () => IN_VAIN).flat());
  t.same(answers.wait(8), [-1, -1, -1, -1, -1, -1, -1, -1]);
});

t.test('busy poll: an error is given on', async (t) => {
  const poll = { wait: () => -Errno.EBADF } as unknown as EventPoll;
  const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  t.equal(new BusyPoll(poll, counters).wait(), -Errno.EBADF);
});
