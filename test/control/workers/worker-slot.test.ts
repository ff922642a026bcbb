import t from 'tap';
import { answers, nothingMore, SlotRig } from '#test/support/control/slot-rig.js';
import { until, within } from '#test/support/deadline.js';
import { DIES_AT_START, LULLABY } from '#test/support/faults/last-words.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { freePort } from '#test/support/peers/address.js';

t.test('worker slot: what waits in a dead worker’s queue is served by its successor', async (t) => {
  const proxy = await SlotRig.start(t);
  const [[victim]] = await proxy.connectToBoth(1);
  const numberBefore = Number((await proxy.flowOf(victim!)).split('-')[1]);
  process.env[DIES_AT_START] = '1';
  await proxy.kill(victim!);
  const clients = await Promise.all(Array.from({ length: 30 }, () => proxy.connect()));
  await until(10_000, 'its successors die', () => proxy.deaths >= 3);
  delete process.env[DIES_AT_START];
  await Promise.all(clients.map(answers));
  const ids = await Promise.all(clients.map((peer) => proxy.flowOf(peer)));
  const waited = ids.filter((id) => id.startsWith('0-'));
  t.ok(waited.length > 0, `${waited.length} of 30 had waited`);
  t.ok(
    waited.every((id) => Number(id.split('-')[1]) > numberBefore),
    'no number is used twice',
  );
  await proxy.allRun();
  const delays = proxy.logs().map(({ replaced_in_ms }) => replaced_in_ms);
  const given = delays.filter((delay) => delay !== undefined);
  t.same(given.slice(0, 3), [100, 200, 400], 'each comes later than the one before');
  await proxy.finish(t);
});

t.test('worker slot: a successor has the configuration that is in force by then', async (t) => {
  const proxy = await SlotRig.start(t);
  const reload = async () => {
    const result = await proxy.supervisor.reload(proxy.configWithSecond());
    t.equal(result.ok, true);
  };
  await reload();
  const [[victim]] = await proxy.connectToBoth(1);
  await proxy.kill(victim!);
  await proxy.allRun();
  await Promise.all(Array.from({ length: 16 }, () => proxy.connectServed('b')));
  const [[next], [other]] = await proxy.connectToBoth(1);
  await proxy.kill(next!);
  // The slot is vacant now: whoever comes takes what waits, then the new configuration.
  const waiting = await Promise.all(Array.from({ length: 16 }, () => proxy.connect()));
  await reload();
  await Promise.all(waiting.map(answers));
  await answers(other!);
  await proxy.allRun();
  await Promise.all(Array.from({ length: 16 }, () => proxy.connectServed('b')));
  const silent = proxy.logs().filter(({ msg }) => msg.includes('has not confirmed'));
  t.same(silent, [], 'the reloads waited for nobody in vain');
  await proxy.finish(t);
});

t.test('worker slot: a socket that was removed does not wait for a successor', async (t) => {
  const proxy = await SlotRig.start(t);
  const second = proxy.configWithSecond(`127.0.0.1:${await freePort()}`);
  t.match(await proxy.supervisor.reload(second), { ok: true });
  const [[victim]] = await proxy.connectToBoth(1);
  process.env[DIES_AT_START] = '1';
  await proxy.kill(victim!);
  // From here on a slot is vacant for seconds.
  await until(20_000, 'its successors die', () => proxy.deaths >= 6);
  // The one who comes for that dies, too, and is the one to be told.
  t.match(await proxy.supervisor.reload(proxy.configWithoutSecond()), { ok: true });
  t.match(await proxy.supervisor.reload(second), { ok: true });
  delete process.env[DIES_AT_START];
  await proxy.allRun();
  await Promise.all(Array.from({ length: 16 }, () => proxy.connectServed('b')));
  await proxy.finish(t);
});

t.test('worker slot: a reload names the worker that has not confirmed it', async (t) => {
  const proxy = await SlotRig.start(t);
  const [[sleeper]] = await proxy.connectToBoth(1);
  const number = await proxy.workerOf(sleeper!);
  await sleeper!.send(LULLABY);
  const result = await proxy.supervisor.reload(proxy.configWithSecond());
  t.match(result, { ok: true });
  const changes = result.ok ? result.changes : [];
  t.same(
    changes.filter((line) => line.startsWith('worker')),
    [`worker ${number}: has not confirmed it, see the log`],
  );
  const logged = () => proxy.logs().filter(({ msg }) => msg.includes('has not confirmed'));
  // Lines are written by another thread, sooner or later.
  await until(5_000, 'the log says so', () => logged().length > 0);
  t.match(logged(), [{ worker: number }]);
  // It wakes up, and does as it was told.
  await Promise.all(Array.from({ length: 16 }, () => proxy.connectServed('b')));
  await proxy.finish(t);
});

t.test('worker slot: a death while draining does not hang the drain', async (t) => {
  const proxy = await SlotRig.start(t);
  const [[victim], [other]] = await proxy.connectToBoth(1);
  const drained = proxy.supervisor.drain(60_000);
  drained.catch(() => {});
  await answers(other!);
  await proxy.kill(victim!);
  await answers(other!);
  await proxy.finish(t, async () => {
    // The other worker may have more than one.
    await proxy.supervisor.close().catch(() => {});
    await t.rejects(within(10_000, 'the drain ends', drained), /a bug of the worker/);
  });
});

t.test('worker slot: a drain finds a successor for what a vacant slot has queued', async (t) => {
  const proxy = await SlotRig.start(t);
  const [[victim]] = await proxy.connectToBoth(1);
  await proxy.kill(victim!);
  const clients = await Promise.all(Array.from({ length: 20 }, () => proxy.connect()));
  const drained = proxy.supervisor.drain(60_000);
  await Promise.all(clients.map(answers));
  t.notOk(proxy.supervisor.isReady);
  await proxy.finish(t, async () => {
    await proxy.supervisor.close();
    await drained;
  });
});

t.test('worker slot: a stop does not wait for a successor', async (t) => {
  const proxy = await SlotRig.start(t);
  const [[victim]] = await proxy.connectToBoth(1);
  await proxy.kill(victim!);
  await proxy.finish(t, () => within(10_000, 'it stops', proxy.supervisor.close()));
});

t.test('worker slot: one that dies before it is ready fails the start', async (t) => {
  const before = descriptors();
  process.env[DIES_AT_START] = '1';
  await t.rejects(SlotRig.start(t), /a bug at the start/);
  delete process.env[DIES_AT_START];
  await nothingMore(before);
});
