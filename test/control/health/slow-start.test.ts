import t from 'tap';
import { SlowStart } from '#src/control/health/index.js';
import { ManualClock } from '../discovery/manual-clock.js';

function rig(windowMs: number) {
  const clock = new ManualClock();
  const shares: number[] = [];
  const slowStart = new SlowStart(windowMs, (share) => shares.push(share), clock);
  return { clock, shares, slowStart };
}

t.test('slow start: from a tenth to the whole, in twenty equal steps', async (t) => {
  const { clock, shares, slowStart } = rig(10_000);
  slowStart.begin();
  t.same(shares, [100]);
  clock.advance(499);
  t.equal(shares.length, 1);
  clock.advance(1);
  t.same(shares, [100, 145]);
  clock.advance(9_500);
  t.same(
    shares,
    Array.from({ length: 21 }, (_, step) => 100 + 45 * step),
  );
  t.equal(slowStart.isUnderWay, false);
  t.equal(clock.timers, 0);
});

t.test('slow start: a late timer skips steps, and the window stays as long', async (t) => {
  const { clock, shares, slowStart } = rig(2_000);
  const late = clock.setTimeout.bind(clock);
  clock.setTimeout = (callback, delayMs) => late(callback, delayMs + 450);
  slowStart.begin();
  clock.advance(550);
  t.same(shares, [100, 325]);
  clock.advance(2_000);
  t.equal(shares.at(-1), 1_000);
});

t.test('slow start: stopped half way it says no more, begun again it starts over', async (t) => {
  const { clock, shares, slowStart } = rig(1_000);
  slowStart.begin();
  clock.advance(500);
  t.equal(shares.at(-1), 550);
  slowStart.stop();
  t.equal(clock.timers, 0);
  clock.advance(5_000);
  t.equal(shares.length, 11);
  slowStart.begin();
  t.equal(shares.at(-1), 100);
  slowStart.begin();
  t.equal(clock.timers, 1);
  clock.advance(1_000);
  t.equal(shares.at(-1), 1_000);
});

t.test('slow start: what began elsewhere goes on from there', async (t) => {
  const { clock, shares, slowStart } = rig(1_000);
  slowStart.begin(clock.now() - 500);
  t.same(shares, [550]);
  t.equal(slowStart.beganAtMs, clock.now() - 500);
  clock.advance(500);
  t.equal(shares.at(-1), 1_000);
  t.equal(slowStart.beganAtMs, undefined);
  slowStart.begin(clock.now() - 5_000);
  t.equal(shares.length, 12);
  t.equal(shares.at(-1), 1_000);
  t.equal(clock.timers, 0);
});

t.test('slow start: without a window it is over at once', async (t) => {
  const { clock, shares, slowStart } = rig(0);
  slowStart.begin();
  t.same(shares, [1_000]);
  t.equal(clock.timers, 0);
});
