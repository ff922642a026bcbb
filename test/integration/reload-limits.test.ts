// What a listener's connections are counted against, when the configuration changes under them.
import t from 'tap';
import { type Headgate, start } from '#src/index.js';
import { addressOf, connect, echoOrigin, says } from '#test/support/control/live-proxy.js';
import { until } from '#test/support/deadline.js';

const timeout = { timeout: 20_000 };

const text = (endpoint: string, limits: string, name = 'a') => `workers: 2
log: { level: silent }
listeners: { ${name}: { bind: "127.0.0.1:0", ${limits} tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoint}"] } }`;

/** Connections of the listener that were accepted and have not ended. */
const active = (headgate: Headgate) => headgate.stats().listeners.a!.active;

t.test('reload: connections that are there count against a kept limit', timeout, async (t) => {
  const app = await echoOrigin(t);
  const limit = (connections: number) => `limits: { connections: ${connections} },`;
  const headgate = await start(text(app.address, limit(2)));
  t.teardown(() => headgate.close());
  const address = addressOf(headgate, 'a');
  const first = connect(t, address);
  t.ok(await says(first, 'one'));
  t.match(await headgate.reload(text(app.address, `backlog: 9, ${limit(2)}`)), { ok: true });
  const second = connect(t, address);
  t.ok(await says(second, 'two'));
  const third = connect(t, address);
  const thirdHeard = says(third, 'three');
  const pauses = () => headgate.stats().totals.accept_paused_limit;
  await until(3_000, 'accepting pauses', () => pauses() > 0);
  t.equal(active(headgate), 2, 'the third waits in the kernel');

  t.match(await headgate.reload(text(app.address, limit(1))), { ok: true });
  first.destroy();
  await until(3_000, 'the first has ended', () => active(headgate) === 1);
  t.ok(await says(second, 'still'), 'a smaller limit ends nobody');
  second.destroy();
  t.ok(await thirdHeard, 'below the new limit the next is served');
  third.destroy();
  await until(3_000, 'all have ended', () => active(headgate) === 0);
  const last = connect(t, address);
  t.ok(await says(last, 'last'), 'every place was given back, over two reloads');
});

t.test('reload: a limit that comes counts who is there already', timeout, async (t) => {
  const app = await echoOrigin(t);
  const headgate = await start(text(app.address, ''));
  t.teardown(() => headgate.close());
  const address = addressOf(headgate, 'a');
  const first = connect(t, address);
  t.ok(await says(first, 'one'));
  const limited = text(app.address, 'limits: { connections: 1 },');
  t.match(await headgate.reload(limited), { ok: true });
  const second = connect(t, address);
  const heard = says(second, 'two');
  const pauses = () => headgate.stats().totals.accept_paused_limit;
  await until(3_000, 'accepting pauses', () => pauses() > 0);
  t.equal(active(headgate), 1);
  first.destroy();
  t.ok(await heard);
});

t.test('reload: connections of a source are counted on', timeout, async (t) => {
  const app = await echoOrigin(t);
  const limit = (count: number) =>
    text(app.address, `limits: { connections_per_source: ${count} },`);
  const headgate = await start(limit(2));
  t.teardown(() => headgate.close());
  const address = addressOf(headgate, 'a');
  const refused = () => headgate.stats().listeners.a!.closed.source_limit;
  const clients = [connect(t, address), connect(t, address)];
  for (const one of clients) t.ok(await says(one, 'hello'));
  t.match(await headgate.reload(limit(3)), { ok: true });
  clients.push(connect(t, address));
  t.ok(await says(clients[2]!, 'hello'), 'the larger limit has one more place');
  t.notOk(await says(connect(t, address), 'hello'), 'and no more than that');
  t.equal(refused(), 1);

  t.match(await headgate.reload(text(app.address, '')), { ok: true });
  clients[0]!.destroy();
  await until(3_000, 'one has ended', () => active(headgate) === 2);
  t.match(await headgate.reload(limit(2)), { ok: true });
  t.notOk(await says(connect(t, address), 'hello'), 'two are left, counted under the limit before');
  clients[1]!.destroy();
  await until(3_000, 'one has ended', () => active(headgate) === 1);
  t.ok(await says(connect(t, address), 'hello'));
});
