import t, { type Test } from 'tap';
import { TICK_MS, Timer, type TimerOwner, TimerWheel } from '#src/proxy/timer-wheel.js';
import { Random } from '#test/support/random.js';

/** The wheel's span; a deadline beyond it is put in again on the way. */
const SPAN_MS = 2048 * TICK_MS;

class Ring implements TimerOwner {
  readonly timer = new Timer(this);
  rings: number[] = [];
  readonly errors: unknown[] = [];

  constructor(private readonly onRing: (ring: Ring) => void = () => {}) {}

  onTimer(): void {
    this.rings.push(now);
    this.onRing(this);
  }

  onException(error: unknown): void {
    this.errors.push(error);
  }
}

/** The time of the test that runs. */
let now = 0;

function advance(wheel: TimerWheel, to: number): void {
  now = to;
  wheel.advance(to);
}

t.test('timer wheel: a timer goes off once, not before its time and little after', async (t) => {
  for (const delay of [
    0,
    1,
    31,
    32,
    33,
    1000,
    SPAN_MS - 1,
    SPAN_MS,
    SPAN_MS + 1,
    5 * SPAN_MS + 7,
  ]) {
    const start = 12_345.678;
    const wheel = new TimerWheel(start);
    const ring = new Ring();
    wheel.schedule(ring.timer, start + delay);
    t.equal(ring.timer.isScheduled, true);
    for (now = start; now < start + delay + 3 * TICK_MS; now += 7.5) wheel.advance(now);
    t.equal(ring.rings.length, 1, `after ${delay}`);
    const late = ring.rings[0]! - start - delay;
    t.ok(late >= 0 && late <= TICK_MS + 7.5, `${delay}: ${late} ms late`);
    t.equal(ring.timer.isScheduled, false);
    t.equal(wheel.size, 0);
  }
});

t.test('timer wheel: a jump over many deadlines sets all of them off, once', async (t) => {
  const wheel = new TimerWheel(0);
  const rings = Array.from({ length: 500 }, () => new Ring());
  for (const [index, ring] of rings.entries()) wheel.schedule(ring.timer, index * 1000);
  advance(wheel, 10 * SPAN_MS);
  t.ok(rings.every(({ rings }) => rings.length === 1));
  t.equal(wheel.size, 0);
  t.equal(timeoutMs(wheel, now), -1);
});

t.test('timer wheel: a moved timer keeps to its last deadline', async (t) => {
  const wheel = new TimerWheel(0);
  const ring = new Ring();
  wheel.schedule(ring.timer, 100);
  wheel.schedule(ring.timer, 1000);
  t.equal(wheel.size, 1);
  advance(wheel, 900);
  t.same(ring.rings, []);
  advance(wheel, 1100);
  t.same(ring.rings, [1100]);
  wheel.schedule(ring.timer, 5000);
  wheel.schedule(ring.timer, 2000);
  advance(wheel, 2100);
  t.same(ring.rings, [1100, 2100]);
});

t.test(
  'timer wheel: a cancelled timer stays silent, and an idle one may be cancelled',
  async (t) => {
    const wheel = new TimerWheel(0);
    const ring = new Ring();
    wheel.cancel(ring.timer);
    wheel.schedule(ring.timer, 100);
    wheel.cancel(ring.timer);
    wheel.cancel(ring.timer);
    t.equal(wheel.size, 0);
    t.equal(timeoutMs(wheel, 0), -1);
    advance(wheel, 1000);
    t.same(ring.rings, []);
  },
);

t.test('timer wheel: a deadline that has passed goes off at the next tick', async (t) => {
  const wheel = new TimerWheel(10_000);
  const ring = new Ring();
  wheel.schedule(ring.timer, 5);
  t.ok(timeoutMs(wheel, 10_000) <= TICK_MS);
  advance(wheel, 10_000 + TICK_MS);
  t.equal(ring.rings.length, 1);
});

t.test('timer wheel: an owner may set its timer again while it is served', async (t) => {
  const wheel = new TimerWheel(0);
  const ring = new Ring(({ timer }) => wheel.schedule(timer, now + 50));
  wheel.schedule(ring.timer, 50);
  for (now = 0; now < 1000; now += 10) wheel.advance(now);
  t.ok(ring.rings.length >= 11 && ring.rings.length <= 20, `${ring.rings.length} times`);
  t.equal(wheel.size, 1);
});

t.test('timer wheel: an owner that asks for the past is not served for ever', async (t) => {
  const wheel = new TimerWheel(0);
  const ring = new Ring(({ timer }) => wheel.schedule(timer, 0));
  wheel.schedule(ring.timer, 50);
  advance(wheel, 50 + TICK_MS);
  t.ok(ring.rings.length <= 2, `${ring.rings.length} times`);
});

t.test('timer wheel: an owner may cancel and set those that are due with it', async (t) => {
  const wheel = new TimerWheel(0);
  const victim = new Ring();
  const moved = new Ring();
  const killer = new Ring(() => {
    wheel.cancel(victim.timer);
    wheel.schedule(moved.timer, now + 500);
  });
  const last = new Ring();
  for (const { timer } of [killer, victim, moved, last]) wheel.schedule(timer, 100);
  advance(wheel, 200);
  t.same(
    [killer, victim, moved, last].map(({ rings }) => rings.length),
    [1, 0, 0, 1],
  );
  advance(wheel, 800);
  t.equal(moved.rings.length, 1);
});

t.test('timer wheel: an owner that throws hears of it, and the others are served', async (t) => {
  const wheel = new TimerWheel(0);
  const thrower = new Ring(() => {
    throw new Error('boom');
  });
  const rings = [new Ring(), thrower, new Ring()];
  for (const { timer } of rings) wheel.schedule(timer, 100);
  advance(wheel, 200);
  t.same(
    rings.map(({ rings }) => rings.length),
    [1, 1, 1],
  );
  t.match(thrower.errors, [{ message: 'boom' }]);
  t.equal(wheel.size, 0);
});

t.test('timer wheel: says how long nothing is due', async (t) => {
  const wheel = new TimerWheel(0);
  t.equal(timeoutMs(wheel, 0), -1, 'for ever');
  const ring = new Ring();
  wheel.schedule(ring.timer, 1000);
  const wait = timeoutMs(wheel, 0);
  t.ok(Number.isInteger(wait) && wait >= 1000 && wait <= 1000 + TICK_MS, `${wait}`);
  advance(wheel, wait);
  t.equal(ring.rings.length, 1, 'and that is long enough');
  wheel.schedule(ring.timer, 2000);
  t.equal(timeoutMs(wheel, 5000), 0, 'overdue');
});

interface Expected {
  readonly ring: Ring;
  deadline: number;
  /** When it was set: a deadline that had passed by then is served at the next tick. */
  since: number;
}

/** Random schedules against the plainest possible list. */
function compare(t: Test, random: Random): void {
  now = random.between(0, 1e7) + random.next();
  const wheel = new TimerWheel(now);
  const expected = new Map<Ring, Expected>();
  let advancedTo = now;
  const set = (ring: Ring): void => {
    const reach = random.pick([50, 1000, SPAN_MS, 4 * SPAN_MS]);
    const deadline = now + random.between(-100, reach) + random.next();
    expected.set(ring, { ring, deadline, since: now });
    wheel.schedule(ring.timer, deadline);
  };
  const rings = Array.from({ length: 60 }, () => {
    return new Ring((ring) => {
      const due = expected.get(ring);
      if (due === undefined) throw new Error('went off although it was not set');
      if (due.deadline > now) throw new Error(`early by ${due.deadline - now}`);
      expected.delete(ring);
      if (random.oneIn(4)) set(ring);
      if (random.oneIn(8)) throw new Error('on purpose');
    });
  });
  for (let step = 0; step < 400; step++) {
    const ring = random.pick(rings);
    if (random.oneIn(2)) set(ring);
    else if (random.oneIn(3)) {
      wheel.cancel(ring.timer);
      expected.delete(ring);
    } else {
      const wait = timeoutMs(wheel, now);
      const soonest = Math.min(
        ...[...expected.values()].map((one) => Math.max(one.deadline, one.since)),
      );
      if (expected.size === 0 ? wait !== -1 : wait < 0) throw new Error(`timeout ${wait}`);
      if (wait > Math.max(0, soonest - now) + TICK_MS + 1) throw new Error(`oversleeps: ${wait}`);
      const jump = random.pick([0, 1, 30, 100, 5000, 2 * SPAN_MS]);
      advance(wheel, now + (random.oneIn(2) ? Math.max(0, wait) : jump * random.next()));
      advancedTo = now;
    }
    if (wheel.size !== expected.size) throw new Error(`size ${wheel.size}, not ${expected.size}`);
    for (const { deadline, since } of expected.values()) {
      if (Math.max(deadline, since) <= advancedTo - TICK_MS) throw new Error('forgotten');
    }
  }
  const bad = rings.flatMap(({ errors }) => errors).filter((one) => !/on purpose/.test(`${one}`));
  t.same(bad, []);
}

const seed = Random.seed();
t.test(`timer wheel: does what a sorted list does (SEED=${seed})`, async (t) => {
  for (let round = 0; round < 100; round++) {
    try {
      compare(t, new Random(seed + round));
    } catch (error) {
      t.fail(`SEED=${seed + round}: ${error}`);
    }
  }
});

/** How long a loop may sleep, as epoll_wait(2) counts: whole milliseconds, −1 for ever. */
function timeoutMs(wheel: TimerWheel, nowMs: number): number {
  return wheel.dueMs === Number.POSITIVE_INFINITY
    ? -1
    : Math.max(0, Math.ceil(wheel.dueMs - nowMs));
}
