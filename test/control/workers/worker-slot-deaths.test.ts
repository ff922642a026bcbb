import t from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { answers, SlotRig } from '#test/support/control/slot-rig.js';
import { until, within } from '#test/support/deadline.js';
import { type Death, lastWords } from '#test/support/faults/last-words.js';
import type { Peer } from '#test/support/peers/peer.js';

for (const death of Object.keys(lastWords) as Death[]) {
  t.test(`worker slot: a death (${death}) is felt by its own flows only`, async (t) => {
    const proxy = await SlotRig.start(t);
    const [dying, living] = await proxy.connectToBoth(3);
    const [victim, ...others] = dying;
    const before = await proxy.counters();
    const batches = () => proxy.supervisor.statistics().totals.batches_open;
    t.equal(batches(), 2);
    await proxy.kill(victim!, death);
    t.notOk(proxy.supervisor.isReady, 'not ready while one is missing');
    t.equal(batches(), 1, 'the dead make no calls');
    t.ok(proxy.supervisor.isHealthy, 'and yet no reason for a restart');
    for (const peer of others) {
      t.equal(await within(10_000, 'a reset', peer.ending()), 'reset', 'its clients hear of it');
    }
    for (const peer of living) await answers(peer);
    await proxy.allRun();
    t.equal(proxy.deaths, 1);
    t.equal(batches(), 2);
    const { totals } = proxy.supervisor.statistics();
    t.equal(totals.flows_active, living.length, 'places are given back');
    const after = await proxy.counters();
    for (const [name, value] of before) {
      if (!(after.get(name)! >= value)) t.fail(`${name} fell from ${value} to ${after.get(name)}`);
    }
    const died = 'headgate_connections_closed_total{"listener":"a","reason":"worker_died"}';
    t.equal(after.get(died), dying.length);
    t.equal(after.get('headgate_worker_deaths_total{}'), 1);
    const logs = proxy.logs();
    const line = logs.find(({ msg }) => msg === 'worker 0 died')!;
    t.match(line, { level: 50, worker: 0, flows: dying.length, replaced_in_ms: 100 });
    const message = death === 'sudden' ? /ended by itself/ : /bug of the worker/;
    t.match(line.err, { message, stack: String });
    t.match(
      logs.find(({ msg }) => msg === 'worker 0 replaced'),
      { level: 30, worker: 0 },
    );
    const left = line.descriptors as number;
    const lines = logs.filter(({ close }) => close === 'worker_died');
    if (death === 'exception') {
      t.equal(lines.length, dying.length, 'each flow has its access line');
      t.ok(left < 2 * dying.length, `it closed them itself, but for ${left}`);
    } else {
      t.ok(left >= 2 * dying.length + 2, `${left} descriptors are closed for it`);
    }
    await proxy.finish(t);
  });
}

t.test('worker slot: a long transfer goes on while the other worker dies', async (t) => {
  const proxy = await SlotRig.start(t);
  const [dying, living] = await proxy.connectToBoth(1);
  const stream = new ByteStream(1);
  const bulk = living[0]!;
  const length = 192 * 1024 * 1024;
  // With pauses, so that it lasts while workers die.
  const transfer = Promise.all([
    bulk.sendStream(stream, length),
    bulk.receiveStream(stream, length, { everyBytes: 4 * 1024 * 1024, pauseMs: 25 }),
  ]);
  let victim: Peer | undefined = dying[0];
  const kinds = Object.keys(lastWords) as Death[];
  for (const death of kinds) {
    await proxy.kill(victim!, death);
    // New connections all the while: those of the dead worker wait for the next one.
    const fresh = await Promise.all(Array.from({ length: 8 }, () => proxy.connectServed()));
    await proxy.allRun();
    victim = (await proxy.connectToBoth(1))[0][0];
    await Promise.all(fresh.map(answers));
  }
  await within(60_000, 'the transfer', transfer);
  t.equal(proxy.deaths, kinds.length);
  const line = proxy.logs().find(({ close }) => close === 'worker_died');
  t.equal(line?.worker, 0);
  await proxy.finish(t);
});

t.test('worker slot: limits hold for the living, and only for them', async (t) => {
  const proxy = await SlotRig.start(t, {
    listener: 'limits: { connections: 60, connections_per_source: 40 }',
    top: 'limits: { connections: 80 }',
  });
  for (const death of Object.keys(lastWords) as Death[]) {
    const [[victim, ...others], living] = await proxy.connectToBoth(2);
    await proxy.kill(victim!, death);
    for (const peer of others) t.equal(await peer.ending(), 'reset');
    await proxy.allRun();
    for (const peer of living) peer.end();
    await until(10_000, 'all end', () => proxy.supervisor.statistics().totals.flows_active === 0);
    // Had a death kept its places, the forty of this source would not be there any more.
    const full = await Promise.all(Array.from({ length: 40 }, () => proxy.connectServed()));
    const refused = await proxy.connect();
    t.equal(await within(10_000, 'a refusal', refused.ending()), 'reset');
    for (const peer of full) peer.end();
    await until(10_000, 'all end', () => proxy.supervisor.statistics().totals.flows_active === 0);
  }
  t.equal(proxy.supervisor.statistics().listeners.a?.closed.source_limit, 3);
  await proxy.finish(t);
});

t.test('worker slot: every worker may die, again and again', async (t) => {
  const proxy = await SlotRig.start(t);
  for (let round = 0; round < 2; round++) {
    const [one, other] = await proxy.connectToBoth(2);
    await Promise.all([one[0]!.send(lastWords.exception), other[0]!.send(lastWords.sudden)]);
    await until(10_000, 'both die', () => proxy.deaths === 2 * (round + 1));
    await proxy.allRun();
  }
  await answers(await proxy.connectServed());
  await proxy.finish(t);
});
