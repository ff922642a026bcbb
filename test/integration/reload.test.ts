// Another configuration while connections go on: by SIGHUP, by the admin endpoint, by the API.

import { writeFileSync } from 'node:fs';
import t from 'tap';
import { start } from '#src/index.js';
import {
  addressOf,
  connect,
  echoOrigin,
  exchange,
  Load,
  says,
} from '#test/support/control/live-proxy.js';
import { sleep, until } from '#test/support/deadline.js';
import { freePort } from '#test/support/peers/address.js';
import type { Origin } from '#test/support/peers/origin.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };

const head = 'workers: 2\nlog: { level: silent }\n';

t.test('reload: under load no connection fails, and none is cut', timeout, async (t) => {
  const [one, other] = [await echoOrigin(t), await echoOrigin(t)];
  const text = (endpoint: Origin, connections: number) => `${head}
limits: { connections: ${connections} }
listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoint.address}"] } }`;
  const headgate = await start(text(one, 1000));
  t.teardown(() => headgate.close());
  const address = addressOf(headgate, 'web');
  const established = connect(t, address);
  t.ok(await says(established, 'before'));

  const load = new Load(() => exchange(t, address));
  for (let round = 0; round < 10; round++) {
    const result = await headgate.reload(text(round % 2 === 0 ? other : one, 2000 + round));
    t.match(result, { ok: true, changes: ['upstreams.app: changed', 'limits: changed'] });
    await sleep(200);
  }
  t.equal(await load.end(), 0);
  t.ok(load.count > 200, `${load.count} connections`);
  t.ok(one.accepted > 50 && other.accepted > 50, `${one.accepted} and ${other.accepted}`);
  t.equal(addressOf(headgate, 'web'), address, 'the port that was chosen stays');
  t.ok(await says(established, 'after'), 'the established flow goes on');
  t.equal(headgate.stats().limits.connectionsMax, 2009);
});

t.test('reload: listeners come and go, flows stay', timeout, async (t) => {
  const app = await echoOrigin(t);
  const [first, second] = [await freePort(), await freePort()];
  const unix = `${temporaryDirectory(t)}/pg.sock`;
  const text = (...listeners: [string, string][]) =>
    `${head}listeners: { ${listeners.map(([name, bind]) => `${name}: { bind: "${bind}", tcp: { upstream: app } }`).join(', ')} }
upstreams: { app: { endpoints: ["${app.address}"] } }`;
  const headgate = await start(text(['a', `127.0.0.1:${first}`], ['u', `unix:${unix}`]));
  t.teardown(() => headgate.close());
  const established = connect(t, `127.0.0.1:${first}`);
  t.ok(await says(established, 'before'));

  t.strictSame(await headgate.reload(text(['b', `127.0.0.1:${second}`])), {
    ok: true,
    changes: [
      `listeners.b: 127.0.0.1:${second} added`,
      `listeners.a: 127.0.0.1:${first} removed`,
      `listeners.u: unix:${unix} removed`,
      'listeners.a: removed',
      'listeners.u: removed',
      'listeners.b: added',
    ],
  });
  t.notOk(await exchange(t, `127.0.0.1:${first}`), 'the removed listener refuses');
  t.ok(await exchange(t, `127.0.0.1:${second}`), 'the new one serves');
  t.ok(await says(established, 'after'), 'the flow of the removed one goes on');
  t.equal(headgate.stats().listeners.a!.active, 1);

  t.match(await headgate.reload(text(['c', `127.0.0.1:${second}`])), { ok: true });
  t.ok(await exchange(t, `127.0.0.1:${second}`), 'the socket has another name now');
  established.destroy();
  await until(3_000, 'the flow has ended', () => headgate.stats().listeners.a!.active === 0);
  t.equal(headgate.stats().listeners.c!.accepted, 1);
});

t.test('reload: a listener beside it comes and goes under load', timeout, async (t) => {
  const app = await echoOrigin(t);
  const [port, beside] = [await freePort(), await freePort()];
  const text = (...ports: number[]) =>
    `${head}listeners: { ${ports.map((port) => `l${port}: { bind: "127.0.0.1:${port}", tcp: { upstream: app } }`).join(', ')} }
upstreams: { app: { endpoints: ["${app.address}"] } }`;
  const headgate = await start(text(port));
  t.teardown(() => headgate.close());
  const load = new Load(() => exchange(t, `127.0.0.1:${port}`));
  for (let round = 0; round < 6; round++) {
    t.match(await headgate.reload(text(port, beside)), { ok: true });
    // What is queued in a listener when it is removed is served, too.
    const late = Array.from({ length: 20 }, () => connect(t, `127.0.0.1:${beside}`));
    await Promise.all(late.map((one) => new Promise((resolve) => one.once('connect', resolve))));
    t.match(await headgate.reload(text(port)), { ok: true });
    const heard = await Promise.all(late.map((one) => says(one, 'late')));
    t.notOk(heard.includes(false));
    for (const one of late) one.destroy();
  }
  t.equal(await load.end(), 0, `of ${load.count} connections`);
});

t.test('reload: an address that is taken changes nothing', timeout, async (t) => {
  const app = await echoOrigin(t);
  const port = await freePort();
  const text = (more: string, endpoints: string) => `${head}
listeners: { a: { bind: ["127.0.0.1:0"${more}], tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoints}"] } }`;
  const headgate = await start(text('', app.address));
  t.teardown(() => headgate.close());
  const next = text(`, "127.0.0.1:${port}", "${app.address}"`, '127.0.0.1:1');
  t.match(await headgate.reload(next), { ok: false, problems: [/already in use/] });
  t.ok(await exchange(t, addressOf(headgate, 'a')), 'the old upstream is in force');
  t.notOk(await exchange(t, `127.0.0.1:${port}`), 'what was bound is closed again');
  t.equal(headgate.addresses.length, 1);
});

t.test('reload: what needs a restart is said, and the rest is done', timeout, async (t) => {
  const app = await echoOrigin(t);
  const text = (keys: string) => `${keys}
listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${app.address}"] } }`;
  const headgate = await start(text('workers: 1\nlog: { level: silent }'));
  t.teardown(() => headgate.close());
  const result = await headgate.reload(
    text(
      'workers: 2\npin_workers: true\nio_uring: false\nlog: { level: silent }\ntimeouts: { idle: 300ms }\nlimits: { headers: 7, head_bytes: 9KiB }',
    ),
  );
  t.strictSame(result, {
    ok: true,
    changes: [
      'timeouts: changed',
      'workers: needs a restart',
      'pin_workers: needs a restart',
      'io_uring: needs a restart',
      'limits.head_bytes: needs a restart',
      'limits.headers: needs a restart',
    ],
  });
  t.equal(headgate.stats().workers.running, 1);
  const quiet = connect(t, addressOf(headgate, 'a'));
  await until(3_000, 'the new idle timeout', () => quiet.closed);
});

t.test('reload: who waits for a place goes on waiting, and gets one', timeout, async (t) => {
  const [one, other] = [await echoOrigin(t), await echoOrigin(t)];
  const text = (endpoints: string) => `${head}
listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: [${endpoints}], connections: { per_endpoint: 1, queue_timeout: 30s } } }`;
  const headgate = await start(text(`"${one.address}"`));
  t.teardown(() => headgate.close());
  const holder = connect(t, addressOf(headgate, 'a'));
  t.ok(await says(holder, 'first'));
  const waiter = connect(t, addressOf(headgate, 'a'));
  const answer = says(waiter, 'second');
  await sleep(200);
  t.equal(one.accepted, 1);
  t.match(await headgate.reload(text(`"${one.address}", "${other.address}"`)), { ok: true });
  t.ok(await answer);
  t.equal(other.accepted, 1, 'at the new endpoint');
  t.ok(await says(holder, 'still'));
});

t.test('reload: SIGHUP and POST /reload read the file again', timeout, async (t) => {
  const [one, other] = [await echoOrigin(t), await echoOrigin(t)];
  const file = `${temporaryDirectory(t)}/headgate.yaml`;
  const adminPort = await freePort();
  const write = (endpoint: string) =>
    writeFileSync(
      file,
      `workers: 2
log: { format: json }
admin: { bind: "127.0.0.1:${adminPort}" }
listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoint}"] } }\n`,
    );
  write(one.address);
  const headgate = await startHeadgate(['run', '-c', file]);
  t.teardown(() => headgate.kill());
  t.ok(await exchange(t, headgate.address));
  const said = (message: RegExp) => headgate.logs.filter(({ msg }) => message.test(msg));

  write(other.address);
  headgate.signal('SIGHUP');
  await until(5_000, 'the reload', () => said(/^reloaded/).length === 1, headgate.context);
  t.ok(await exchange(t, headgate.address));
  t.equal(other.accepted, 1);

  write('nonsense');
  const reply = await fetch(`http://127.0.0.1:${adminPort}/reload`, { method: 'POST' });
  t.equal(reply.status, 422);
  t.match(await reply.json(), { problems: [/headgate\.yaml:5:.*endpoints\[0\] is "nonsense"/] });
  headgate.signal('SIGHUP');
  await until(5_000, 'both refusals', () => said(/^not reloaded/).length === 2, headgate.context);
  t.match(said(/^not reloaded/)[0]!.problems, [/headgate\.yaml:5:.*nonsense/]);
  t.ok(await exchange(t, headgate.address), 'the old configuration is in force');
  const metrics = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  t.match(metrics, /^headgate_reloads_total\{result="refused"\} 2$/m);
  t.match(metrics, /^headgate_config_last_reload_successful 0$/m);

  write(one.address);
  const good = await fetch(`http://127.0.0.1:${adminPort}/reload`, { method: 'POST' });
  t.strictSame(await good.json(), { reloaded: true, changes: ['upstreams.app: changed'] });
  t.strictSame(await headgate.stop(), { code: 0, signal: null });
});
