import { Worker } from 'node:worker_threads';
import t from 'tap';
import { RATE_LIMIT_BYTES, RateLimit } from '#src/proxy/http/guarding/rate-limit.js';
import { within } from '#test/support/deadline.js';
import { Random } from '#test/support/random.js';

function limit(requests: number, perMs: number, burst: number) {
  return new RateLimit({ requests, perMs, burst, shared: new SharedArrayBuffer(RATE_LIMIT_BYTES) });
}

/** How many of `tries` in a row come through. */
function take(one: RateLimit, key: number, nowMs: number, tries: number): number {
  let taken = 0;
  for (let n = 0; n < tries; n++) if (one.take(key, nowMs)) taken++;
  return taken;
}

for (const [requests, perMs, burst] of [
  [10, 1000, 10],
  [1, 1000, 5],
  [100_000, 1000, 200],
  [3, 86_400_000, 3],
  [1_000_000, 1, 1_000_000],
] as const) {
  t.test(`rate: ${requests} in ${perMs} ms, ${burst} at once`, async (t) => {
    for (const startMs of [0, 5, 123_456_789, 8_600_000_123.5]) {
      const one = limit(requests, perMs, burst);
      const tries = Math.min(burst, 1000) + 50;
      const atOnce = take(one, 7, startMs, tries);
      if (burst <= 1000) t.equal(atOnce, burst, 'a whole bucket');
      const shareMs = perMs / requests;
      if (burst > 1000) continue;
      const waitMs = one.retryAfterMs;
      t.ok(waitMs > 0 && waitMs <= shareMs * 1.01, `${waitMs} ms to wait`);
      t.equal(take(one, 7, startMs + shareMs * 0.4, 3), 0, 'too early');
      t.equal(take(one, 7, startMs + shareMs * 2.5, 10), 2, 'one for each share of time');
      t.equal(take(one, 7, startMs + shareMs * (burst * 3 + 5), tries), burst, 'and full again');
    }
  });
}

t.test('rate: keys do not share', async (t) => {
  const one = limit(1, 60_000, 2);
  for (let key = 0; key < 1000; key++) t.equal(take(one, key * 7919, 1000, 5), 2);
});

t.test('rate: numbers that come round refuse nobody who has a large bucket', async (t) => {
  const [requests, perMs, burst] = [100_000, 1000, 100_000];
  // 2³² thousandths of a request's share.
  const roundMs = (2 ** 32 / 1000) * (perMs / requests);
  for (const beforeMs of [1999, 1500, 1100, 500]) {
    const one = limit(requests, perMs, burst);
    t.ok(one.take(3, 0));
    t.ok(one.take(3, roundMs - beforeMs), `${beforeMs} ms before`);
  }
});

t.test('rate: a key that was silent for long is not taken for busy', async (t) => {
  const random = new Random(Random.seed());
  const one = limit(100, 1000, 100);
  let nowMs = 0;
  let whole = 0;
  for (let visit = 0; visit < 2000; visit++) {
    nowMs += 1000 + random.next() * 10 ** random.between(3, 8);
    const taken = take(one, 3, nowMs, 120);
    t.ok(taken <= 100, 'never more than a bucket');
    if (taken === 100) whole++;
  }
  // A number that comes round may cost a bucket, once in a long while.
  t.ok(whole >= 1990, `${whole} whole buckets`);
});

t.test('rate: in the long run it is what it says', async (t) => {
  const random = new Random(Random.seed());
  const one = limit(50, 1000, 10);
  let taken = 0;
  let nowMs = 0;
  while (nowMs < 100_000) {
    nowMs += random.next() * 10;
    if (one.take(1, nowMs)) taken++;
  }
  t.ok(Math.abs(taken - 5000) <= 60, `${taken} in 100 s`);
});

t.test('rate: threads at the same moment take no more than one each too many', async (t) => {
  const shared = new SharedArrayBuffer(RATE_LIMIT_BYTES);
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ RateLimit }) => {
      const one = new RateLimit(workerData);
      let taken = 0;
      for (let n = 0; n < 20000; n++) if (one.take(9, 5000)) taken++;
      parentPort.postMessage(taken);
    });`;
  const module = new URL('../../../../../dist/proxy/http/guarding/rate-limit.js', import.meta.url)
    .href;
  const workerData = { requests: 1, perMs: 60_000, burst: 30_000, shared, module };
  const workers = Array.from({ length: 3 }, () => new Worker(code, { eval: true, workerData }));
  const answers = workers.map((one) => new Promise<number>((done) => one.once('message', done)));
  const counts = await within(10_000, 'three threads', Promise.all(answers));
  const taken = counts.reduce((sum, count) => sum + count, 0);
  t.ok(taken >= 30_000 && taken <= 30_002, `${taken} of 30,000`);
});
