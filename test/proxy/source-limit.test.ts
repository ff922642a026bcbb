import t from 'tap';
import { SourceLimit, sourceKey } from '#src/proxy/source-limit.js';

const limitOf = (max: number) => new SourceLimit(SourceLimit.createMemory(1), max, 0);
const keyOf = (...bytes: number[]) => sourceKey(Uint8Array.from(bytes), 0, bytes.length as 4 | 16);

t.test('source limit: a source has so many places and no more', async (t) => {
  const limit = limitOf(2);
  const one = keyOf(10, 0, 0, 1);
  t.same([limit.enter(one), limit.enter(one), limit.enter(one)], [true, true, false]);
  t.ok(limit.enter(keyOf(10, 0, 0, 2)), 'another source has its own');
  limit.leave(one);
  t.same([limit.enter(one), limit.enter(one)], [true, false], 'a place that was left is free');
});

t.test('source limit: an IPv6 source is its /64', async (t) => {
  const prefix = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1];
  const at = (last: number, network = prefix) => keyOf(...network, 0, 0, 0, 0, 0, 0, 0, last);
  t.equal(at(1), at(2));
  t.not(at(1), at(1, [...prefix.slice(0, 7), 2]));
});

t.test('source limit: ten thousand sources hardly get in each other’s way', async (t) => {
  const limit = limitOf(1);
  let refused = 0;
  for (let index = 0; index < 10_000; index++) {
    if (!limit.enter(keyOf(10, index >> 16, (index >> 8) & 255, index & 255))) refused++;
  }
  t.ok(refused < 300, `${refused} of 10,000 refused`);
});

t.test('source limit: what all leave is empty', async (t) => {
  const shared = SourceLimit.createMemory(1);
  const limit = new SourceLimit(shared, 3, 0);
  const keys = Array.from({ length: 500 }, (_, index) => keyOf(1, 2, index & 7, index & 3));
  const entered = keys.filter((key) => limit.enter(key));
  for (const key of entered) limit.leave(key);
  t.ok(new Int32Array(shared).every((count) => count === 0));
});

t.test('source limit: a worker that died gives back its places, and nobody else’s', async (t) => {
  const shared = SourceLimit.createMemory(2);
  const [dying, living] = [new SourceLimit(shared, 2, 0), new SourceLimit(shared, 2, 1)];
  const [one, other] = [keyOf(10, 0, 0, 1), keyOf(10, 0, 0, 2)];
  t.same([dying.enter(one), living.enter(one), dying.enter(other)], [true, true, true]);
  t.equal(living.enter(one), false);
  new SourceLimit(shared, 2, 0).forgetWorker();
  t.same([living.enter(one), living.enter(one)], [true, false]);
  living.leave(one);
  living.leave(one);
  t.ok(new Int32Array(shared).every((count) => count === 0));
});
