// Two real workers that share the endpoint table: what only shows when they do.
import t, { type Test } from 'tap';
import { EndpointState, Health } from '#src/proxy/upstream/index.js';
import { sleep, until, within } from '../../support/deadline.js';
import { freePort } from '../../support/peers/address.js';
import { Blackhole } from '../../support/peers/blackhole.js';
import { echo, type Handler, Origin } from '../../support/peers/origin.js';
import type { Peer } from '../../support/peers/peer.js';
import { DataPlane } from './data-plane.js';

const timeout = { timeout: 30_000 };

async function origin(t: Test, handler: Handler = echo): Promise<Origin> {
  const origin = await Origin.listen('127.0.0.1:0', handler);
  t.teardown(() => origin.close());
  return origin;
}

const dead = async () => ({ address: `127.0.0.1:${await freePort()}` });

/** Clients one after the other, each with a word there and back. */
async function exchanges(plane: DataPlane, count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const client = await plane.connect();
    await plane.exchange(client);
    client.close();
  }
}

t.test('data plane: one endpoint is dead, and no client notices', timeout, async (t) => {
  const alive = await origin(t);
  const plane = await DataPlane.start(t, [await dead(), alive], { passive: undefined });
  await exchanges(plane, 60);
  await plane.quiet();
  t.ok(
    plane.accepted.every((count) => count > 0),
    `by both workers: ${plane.accepted}`,
  );
  t.match(plane.reading(1), { connects: 60, failures: 0 });
  const { connects, failures, lastErrno } = plane.reading(0);
  t.equal(connects, 0);
  t.ok(failures >= 28 && failures <= 32, `${failures} failures: every other flow began there`);
  t.equal(lastErrno, 111);
  t.equal(plane.total('connect_failures'), failures);
  t.equal(plane.closed('connect_refused'), 0);
  await plane.finish(t);
});

t.test('data plane: a dead endpoint is ejected, and comes back', timeout, async (t) => {
  const alive = await origin(t);
  const port = await freePort();
  const passive = { failures: 3, ejectForMs: 1_000, ejectedMax: 0.5 };
  const plane = await DataPlane.start(t, [{ address: `127.0.0.1:${port}` }, alive], { passive });
  await exchanges(plane, 40);
  t.match(plane.reading(0), { state: EndpointState.ejected, failures: 3, ejections: 1 });
  const returned = await Origin.listen(`127.0.0.1:${port}`, echo);
  t.teardown(() => returned.close());
  await until(3_000, 'its time is up', () => plane.reading(0).state === EndpointState.unchecked);
  await exchanges(plane, 20);
  t.match(plane.reading(0), { failures: 3, failuresInRow: 0 });
  t.ok(plane.reading(0).connects >= 8, `${plane.reading(0).connects} of 20`);
  await plane.quiet();
  returned.close();
  await until(10_000, 'the log', () => plane.said('flow').length === 60);
  t.equal(plane.said('endpoint ejected').length, 1, 'by the one worker that did it');
  await plane.finish(t);
});

t.test('data plane: a silent endpoint costs a timeout, not the flow', timeout, async (t) => {
  const blackhole = await Blackhole.open(t);
  const alive = await origin(t);
  const plane = await DataPlane.start(t, [blackhole, alive], { connectMs: 300 });
  const clients = await Promise.all(Array.from({ length: 10 }, () => plane.connect()));
  await Promise.all(clients.map((client) => plane.exchange(client)));
  t.equal(plane.reading(1).connects, 10);
  t.ok(plane.reading(0).failures > 0);
  for (const client of clients) client.close();
  await plane.quiet();
  await plane.finish(t);
});

t.test('data plane: all endpoints dead, as said by the last of them', timeout, async (t) => {
  const plane = await DataPlane.start(t, [await dead(), await dead(), await dead(), await dead()]);
  const client = await plane.connect();
  t.equal(await within(2_000, 'the end', client.ending()), 'reset');
  await plane.quiet();
  t.equal(plane.closed('connect_refused'), 1);
  t.equal(plane.total('connect_attempts'), 3, 'three are enough');
  await plane.finish(t);
});

t.test('data plane: all endpoints down are not even tried', timeout, async (t) => {
  const one = await origin(t);
  const plane = await DataPlane.start(t, [one]);
  plane.table.setHealth(plane.slot(0), Health.down);
  const startMs = performance.now();
  const clients = await Promise.all(Array.from({ length: 20 }, () => plane.connect()));
  for (const client of clients) await within(10_000, 'the end', client.ending());
  t.ok(performance.now() - startMs < 5_000, 'at once');
  await plane.quiet();
  t.equal(plane.closed('no_endpoint'), 20);
  t.equal(plane.total('connect_attempts'), 0);
  plane.table.setHealth(plane.slot(0), Health.up);
  await exchanges(plane, 4);
  await plane.quiet();
  await until(10_000, 'the log', () => plane.said('flow').length === 24);
  const said = plane.said('no endpoint');
  t.ok(said.length >= 1 && said.length <= 2, `said ${said.length} times, at most once a worker`);
  await plane.finish(t);
});

t.test('data plane: a backup steps in from the first flow on', timeout, async (t) => {
  const standby = await origin(t);
  const plane = await DataPlane.start(t, [
    await dead(),
    { address: standby.address, backup: true },
  ]);
  await exchanges(plane, 20);
  t.equal(plane.reading(1).connects, 20);
  await plane.quiet();
  await plane.finish(t);
});

t.test('data plane: one connection at a time serves everybody in the end', timeout, async (t) => {
  let [serving, servingMax] = [0, 0];
  const slow: Handler = async (peer) => {
    servingMax = Math.max(servingMax, ++serving);
    await peer.receive(4);
    await sleep(10);
    serving--;
    await peer.send('pong');
    peer.end();
    await peer.ending();
  };
  const one = await origin(t, slow);
  const plane = await DataPlane.start(t, [one], { connectionsPerEndpoint: 1 });
  const clients = await Promise.all(Array.from({ length: 30 }, () => plane.connect()));
  await until(2_000, 'they wait', () => plane.waiting >= 25);
  await Promise.all(
    clients.map(async (client) => {
      await plane.exchange(client);
      client.end();
    }),
  );
  await plane.quiet();
  t.equal(servingMax, 1, 'never two at a time');
  t.ok(
    plane.accepted.every((count) => count > 0),
    `by both workers: ${plane.accepted}`,
  );
  t.equal(plane.closed('done'), 30);
  await plane.finish(t);
});

t.test('data plane: the queue is served in order', timeout, async (t) => {
  const served: string[] = [];
  const one = await origin(t, async (peer) => {
    served.push((await peer.receive(2)).toString());
    peer.end();
    await peer.ending();
  });
  const plane = await DataPlane.start(t, [one], { workers: 1, connectionsPerEndpoint: 1 });
  const names = Array.from({ length: 12 }, (_, index) => String(10 + index));
  const clients: Peer[] = [];
  for (const [index, name] of names.entries()) {
    const client = await plane.connect();
    clients.push(client);
    await until(10_000, `${name} waits`, () => plane.waiting === index);
  }
  for (const [index, name] of names.entries()) await clients[index]!.send(name);
  for (const client of clients) client.end();
  await plane.quiet();
  t.same(served, names);
  await plane.finish(t);
});

t.test('data plane: who waits too long is told', timeout, async (t) => {
  const one = await origin(t);
  const settings = { connectionsPerEndpoint: 1, queueTimeoutMs: 300 };
  const plane = await DataPlane.start(t, [one], settings);
  const first = await plane.connect();
  await plane.exchange(first);
  const startMs = performance.now();
  const others = await Promise.all(Array.from({ length: 5 }, () => plane.connect()));
  for (const other of others) await within(2_000, 'the end', other.ending());
  const elapsedMs = performance.now() - startMs;
  t.ok(elapsedMs > 280 && elapsedMs < 3_000, `${elapsedMs.toFixed()} ms`);
  await plane.hasClosed('queue_timeout', 5);
  t.equal(plane.waiting, 0);
  await plane.exchange(first);
  first.end();
  await plane.quiet();
  await plane.finish(t);
});

t.test('data plane: a full queue turns the next away at once', timeout, async (t) => {
  const one = await origin(t);
  const plane = await DataPlane.start(t, [one], { connectionsPerEndpoint: 1, queueMax: 2 });
  const first = await plane.connect();
  await plane.exchange(first);
  for (const waiting of [1, 2]) {
    await plane.connect();
    await until(10_000, 'it waits', () => plane.waiting === waiting);
  }
  const fourth = await plane.connect();
  t.equal(await within(10_000, 'the end', fourth.ending()), 'reset');
  await plane.hasClosed('queue_full', 1);
  t.equal(plane.waiting, 2);
  await plane.finish(t);
});

t.test('data plane: a client that leaves the queue is forgotten', timeout, async (t) => {
  const one = await origin(t);
  const plane = await DataPlane.start(t, [one], { connectionsPerEndpoint: 1 });
  const first = await plane.connect();
  await plane.exchange(first);
  const [second, third] = [await plane.connect(), await plane.connect()];
  await until(10_000, 'both wait', () => plane.waiting === 2);
  second.reset();
  await until(10_000, 'one has left', () => plane.waiting === 1);
  first.end();
  await plane.exchange(third);
  third.end();
  await plane.quiet();
  t.equal(plane.closed('client_reset'), 1);
  t.equal(one.accepted, 2);
  await plane.finish(t);
});

t.test('data plane: flows that wait are told when the last endpoint goes', timeout, async (t) => {
  const one = await origin(t);
  const plane = await DataPlane.start(t, [one], { connectionsPerEndpoint: 1 });
  const first = await plane.connect();
  await plane.exchange(first);
  const second = await plane.connect();
  await until(10_000, 'it waits', () => plane.waiting === 1);
  plane.table.setDraining(plane.slot(0), true);
  await within(10_000, 'the end', second.ending());
  await plane.hasClosed('no_endpoint', 1);
  await plane.exchange(first);
  await plane.finish(t);
});

t.test('data plane: draining an endpoint leaves its flows alone', timeout, async (t) => {
  const [one, other] = [await origin(t), await origin(t)];
  const plane = await DataPlane.start(t, [one, other]);
  const clients = await Promise.all(Array.from({ length: 8 }, () => plane.connect()));
  for (const client of clients) await plane.exchange(client);
  const before = plane.reading(0).active;
  t.ok(before > 0);
  plane.table.setDraining(plane.slot(0), true);
  await exchanges(plane, 10);
  t.equal(plane.reading(0).active, before);
  for (const client of clients) await plane.exchange(client);
  for (const client of clients) client.end();
  await plane.quiet();
  t.equal(plane.reading(0).active, 0, 'empty: it may be taken away');
  await plane.finish(t);
});

t.test('data plane: a client’s address always leads to the same endpoint', timeout, async (t) => {
  const origins = await Promise.all([1, 2, 3, 4].map(() => origin(t)));
  const plane = await DataPlane.start(t, origins, { balance: { hash: 'source_ip' } });
  for (let host = 1; host <= 10; host++) {
    const before = origins.map(({ accepted }) => accepted);
    for (let round = 0; round < 6; round++) {
      const client = await plane.connect(`127.0.1.${host}`);
      await plane.exchange(client);
      client.close();
    }
    const chosen = origins.filter(({ accepted }, index) => accepted > before[index]!);
    t.equal(chosen.length, 1, `127.0.1.${host}`);
  }
  t.ok(origins.filter(({ accepted }) => accepted > 0).length >= 3, 'and different ones to several');
  await plane.quiet();
  await plane.finish(t);
});

t.test('data plane: least connections sees those of the other worker', timeout, async (t) => {
  const origins = await Promise.all([1, 2].map(() => origin(t)));
  const plane = await DataPlane.start(t, origins, { balance: 'least_connections' });
  for (let index = 0; index < 40; index++) await plane.exchange(await plane.connect());
  t.same([plane.reading(0).active, plane.reading(1).active], [20, 20]);
  t.ok(
    plane.accepted.every((count) => count > 5),
    `by both workers: ${plane.accepted}`,
  );
  await plane.finish(t);
});
