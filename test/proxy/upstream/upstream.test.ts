import t from 'tap';
import { EndpointState, Health } from '#src/proxy/upstream/index.js';
import { Errno } from '#src/splice/index.js';
import { UpstreamRig } from './rig.js';

t.test('upstream: endpoints in turn, and every place is counted', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}]);
  t.same([rig.select(), rig.select(), rig.select()].sort(), [0, 1, 2]);
  t.same(
    [0, 1, 2].map((index) => rig.reading(index).active),
    [1, 1, 1],
  );
  for (const endpoint of rig.upstream.endpoints) endpoint.ended();
  t.same(
    [0, 1, 2].map((index) => rig.reading(index).active),
    [0, 0, 0],
  );
});

t.test('upstream: workers do not all begin with the same endpoint', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}, {}], { workers: 4 });
  const first = [0, 1, 2, 3].map((worker) => rig.select(0, [], worker));
  t.same(first.sort(), [0, 1, 2, 3]);
});

t.test('upstream: endpoints a flow has tried are left out, for that flow', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}]);
  const [a, b, c] = rig.upstream.endpoints;
  for (let round = 0; round < 10; round++) {
    t.equal(rig.select(0, [a!, c!]), 1);
    t.equal(rig.select(0, [b!, c!]), 0);
  }
  t.equal(rig.select(0, [a!, b!, c!]), 'None');
  t.type(rig.select(0, []), 'number', 'the next flow knows nothing of that');
  t.same(rig.logs, [], 'all tried is not the same as none in use');
});

t.test('upstream: down, draining, and weight 0 get nothing', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}, { weight: 0 }]);
  rig.table.setHealth(rig.slot(0), Health.down);
  rig.table.setDraining(rig.slot(1), true);
  t.same(rig.tally(20), [0, 0, 20, 0]);
  rig.table.setHealth(rig.slot(0), Health.up);
  rig.table.setDraining(rig.slot(1), false);
  t.same(rig.tally(30), [10, 10, 10, 0]);
});

t.test('upstream: all down is None, said once a minute', async (t) => {
  const rig = new UpstreamRig([{}, {}]);
  for (const index of [0, 1]) rig.table.setHealth(rig.slot(index), Health.down);
  t.equal(rig.select(), 'None');
  t.equal(rig.select(), 'None');
  t.match(rig.logs, [{ upstream: 'test', level: 50 }]);
  rig.clock.pass(60_010);
  t.equal(rig.select(), 'None');
  t.equal(rig.logs.length, 2);
});

t.test('upstream: that connections cannot even be tried is said once a minute', async (t) => {
  const { upstream, clock, logs } = new UpstreamRig([{}, {}]);
  const [one, other] = upstream.endpoints;
  upstream.sayUntried(one!, Errno.EADDRNOTAVAIL);
  upstream.sayUntried(other!, Errno.EMFILE);
  t.match(logs, [{ level: 40, upstream: 'test', endpoint: one!.text, error: 'EADDRNOTAVAIL' }]);
  clock.pass(60_010);
  upstream.sayUntried(other!, Errno.EMFILE);
  t.match(logs[1], { level: 40, endpoint: other!.text, error: 'EMFILE' });
});

t.test('upstream: a slow start is the table’s weight', async (t) => {
  const rig = new UpstreamRig([{ weight: 2 }, { weight: 2 }]);
  rig.table.setWeight(rig.slot(0), 500);
  t.same(rig.tally(50), [10, 40]);
});

t.test('upstream: full is not down', async (t) => {
  const rig = new UpstreamRig([{}, {}], { connectionsPerEndpoint: 2 });
  for (let round = 0; round < 4; round++) t.type(rig.select(), 'number');
  t.equal(rig.select(), 'Full');
  rig.table.setHealth(rig.slot(0), Health.down);
  t.equal(rig.select(), 'Full', 'one is healthy and full');
  rig.table.setHealth(rig.slot(1), Health.down);
  t.equal(rig.select(), 'None');
  rig.table.setHealth(rig.slot(0), Health.up);
  rig.upstream.endpoints[0]!.ended();
  t.equal(rig.select(), 0);
  t.same(rig.reading(0).active, 2);
});

t.test('upstream: a limit is for all workers together', async (t) => {
  const rig = new UpstreamRig([{}], { workers: 2, connectionsPerEndpoint: 3 });
  const results = [0, 1, 0, 1, 0].map((worker) => rig.select(0, [], worker));
  t.same(results, [0, 0, 0, 'Full', 'Full']);
});

t.test('backups: used when no primary is in use, and only then', async (t) => {
  const rig = new UpstreamRig([{}, {}, { backup: true }, { backup: true }]);
  t.same(rig.tally(20), [10, 10, 0, 0]);
  rig.table.setHealth(rig.slot(0), Health.down);
  t.same(rig.tally(20), [0, 20, 0, 0]);
  rig.table.setDraining(rig.slot(1), true);
  t.same(rig.tally(20), [0, 0, 10, 10]);
  rig.table.setHealth(rig.slot(0), Health.up);
  t.same(rig.tally(20), [20, 0, 0, 0]);
});

t.test('backups: not for primaries that are full', async (t) => {
  const rig = new UpstreamRig([{}, { backup: true }], { connectionsPerEndpoint: 1 });
  t.equal(rig.select(), 0);
  t.equal(rig.select(), 'Full');
});

t.test('backups: for a flow that tried the primary in vain', async (t) => {
  const rig = new UpstreamRig([{}, { backup: true }]);
  t.equal(rig.select(0, [rig.upstream.endpoints[0]!]), 1);
});

t.test('backups: full, too', async (t) => {
  const rig = new UpstreamRig([{}, { backup: true }], { connectionsPerEndpoint: 1 });
  rig.table.setHealth(rig.slot(0), Health.down);
  t.equal(rig.select(), 1);
  t.equal(rig.select(), 'Full');
});

t.test('panic: below the threshold health is ignored, an operator is not', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}, {}], { panicThreshold: 0.5 });
  rig.table.setHealth(rig.slot(0), Health.down);
  rig.table.setHealth(rig.slot(1), Health.down);
  t.same(rig.tally(20), [0, 0, 10, 10], 'half is not fewer than half');
  rig.table.setHealth(rig.slot(2), Health.down);
  t.same(rig.tally(20), [5, 5, 5, 5]);
  rig.table.setDraining(rig.slot(0), true);
  t.same(rig.tally(30), [0, 10, 10, 10]);
  rig.table.setHealth(rig.slot(1), Health.up);
  rig.table.setHealth(rig.slot(2), Health.up);
  t.same(rig.tally(30), [0, 10, 10, 10], 'well again');
});

t.test('panic: off unless asked for', async (t) => {
  const rig = new UpstreamRig([{}, {}, {}, {}]);
  for (const index of [0, 1, 2]) rig.table.setHealth(rig.slot(index), Health.down);
  t.same(rig.tally(20), [0, 0, 0, 20]);
});

t.test('panic: healthy backups come before endpoints that are down', async (t) => {
  const rig = new UpstreamRig([{}, {}, { backup: true }], { panicThreshold: 0.75 });
  rig.table.setHealth(rig.slot(0), Health.down);
  t.same(rig.tally(20), [10, 10, 0], 'too few are left, and they are primaries');
  rig.table.setHealth(rig.slot(1), Health.down);
  t.same(rig.tally(20), [0, 0, 20]);
  rig.table.setHealth(rig.slot(2), Health.down);
  t.same(rig.tally(20), [10, 10, 0], 'nobody is well');
});

const passive = { failures: 3, ejectForMs: 1000, ejectedMax: 0.5 };

t.test('passive: so many failures in a row eject, a success between them does not', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive });
  rig.fail(0, 2);
  rig.upstream.endpoints[0]!.connected();
  rig.fail(0, 2);
  t.notOk(rig.isEjected(0));
  t.same(rig.tally(10), [5, 5]);
  rig.fail(0, 1);
  t.ok(rig.isEjected(0));
  t.same(rig.tally(10), [0, 10]);
  t.match(rig.reading(0), {
    state: EndpointState.ejected,
    failures: 5,
    connects: 1,
    lastErrno: 111,
    ejections: 1,
  });
  t.match(rig.logs, [
    { endpoint: '127.0.0.1:7000', failures: 3, error: 'ECONNREFUSED', eject_ms: 1000 },
  ]);
});

t.test('passive: failures of all workers count together', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive, workers: 3 });
  for (const worker of [0, 1, 2]) rig.fail(0, 1, worker);
  t.ok(rig.isEjected(0));
  t.equal(rig.reading(0).failures, 3);
  t.equal(rig.select(0, [], 1), 1);
  t.equal(rig.select(0, [], 2), 1);
});

t.test('passive: bad answers in a row eject, good ones between them do not', async (t) => {
  const statuses = [{ from: 502, to: 504 }];
  const rig = new UpstreamRig([{}, {}], { passive: { ...passive, statuses } });
  const [endpoint] = rig.upstream.endpoints;
  const answers = (...all: number[]) => {
    for (const status of all) {
      // Each over a connection of its own, which says nothing by itself.
      endpoint!.connected();
      endpoint!.answered(status);
    }
    return rig.ejectedForMs(0) > 0;
  };
  t.notOk(answers(502, 503, 200, 502, 503));
  t.notOk(answers(500, 502, 502), 'what is not listed is good');
  t.ok(answers(504));
});

t.test('passive: without statuses answers say nothing', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive });
  const [endpoint] = rig.upstream.endpoints;
  for (let n = 0; n < 10; n++) endpoint!.answered(503);
  t.equal(rig.ejectedForMs(0), 0);
});

t.test('passive: an ejection ends by the clock, in every worker', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive, workers: 2 });
  rig.fail(0, 3);
  rig.clock.pass(890);
  t.ok(rig.isEjected(0));
  rig.clock.pass(220);
  t.notOk(rig.isEjected(0));
  for (const worker of [0, 1]) {
    const both = [rig.select(0, [], worker), rig.select(0, [], worker)];
    t.same(both.sort(), [0, 1], `worker ${worker}`);
  }
});

t.test('passive: ejections grow twofold up to ten times, and are forgiven', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive });
  rig.fail(0, 2);
  const durations: number[] = [];
  for (let round = 0; round < 7; round++) {
    rig.fail(0, 1);
    durations.push(rig.ejectedForMs(0));
    rig.clock.pass(rig.ejectedForMs(0) + 100);
  }
  t.same(durations, [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
  rig.upstream.endpoints[0]!.connected();
  rig.fail(0, 3);
  t.equal(rig.ejectedForMs(0), 10_000, 'one success does not make it forgotten');
  rig.clock.pass(20_200);
  rig.fail(0, 1);
  t.equal(rig.ejectedForMs(0), 1000, 'a good time as long as the longest ejection does');
});

t.test('passive: at most a share is ejected', async (t) => {
  for (const [count, max] of [
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [10, 5],
  ] as const) {
    const rig = new UpstreamRig(Array(count).fill({}), { passive });
    for (let index = 0; index < count; index++) rig.fail(index, 5);
    const ejected = rig.upstream.endpoints.filter((_, index) => rig.isEjected(index));
    t.equal(ejected.length, max, `${max} of ${count}`);
    t.type(rig.select(), 'number', 'somebody is always left');
  }
});

t.test('passive: late failures of connections begun before do not prolong it', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive });
  rig.fail(0, 3);
  rig.clock.pass(500);
  rig.fail(0, 20);
  t.equal(rig.reading(0).ejections, 1);
  rig.clock.pass(600);
  t.notOk(rig.isEjected(0));
});

t.test('passive: off counts, and ejects nobody', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive: undefined });
  rig.fail(0, 100);
  t.notOk(rig.isEjected(0));
  t.equal(rig.reading(0).failures, 100);
});

t.test('passive: a check or an operator may pardon', async (t) => {
  const rig = new UpstreamRig([{}, {}], { passive });
  rig.fail(0, 3);
  rig.table.pardon(rig.slot(0));
  t.notOk(rig.isEjected(0));
  rig.fail(0, 2);
  t.notOk(rig.isEjected(0), 'the count begins anew');
  rig.fail(0, 1);
  t.equal(rig.ejectedForMs(0), 1000, 'and the growth');
});
