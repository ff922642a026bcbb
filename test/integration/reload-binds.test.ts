// Sockets across reloads: addresses that overlap, options that change, files that come and go.

import { statSync } from 'node:fs';
import net from 'node:net';
import t, { type Test } from 'tap';
import { loadConfig } from '#src/config/index.js';
import { Supervisor } from '#src/control/index.js';
import { start } from '#src/index.js';
import { createKernel, openListener, Sockaddr } from '#src/splice/index.js';
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
import { DnsServer } from '#test/support/peers/dns-server.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };

/** The text of a configuration with one listener. */
function config(app: string, bind: string | string[], more = ''): string {
  return `workers: 2
log: { level: silent }
listeners: { a: { bind: ${JSON.stringify(bind)}, ${more} tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${app}"] } }`;
}

async function proxy(t: Test, bind: (port: number) => string | string[], more = '') {
  const [app, port] = [await echoOrigin(t), await freePort()];
  const headgate = await start(config(app.address, bind(port), more));
  t.teardown(() => headgate.close());
  const reload = (bind: string | string[], more?: string) =>
    headgate.reload(config(app.address, bind, more));
  return { headgate, port, reload };
}

t.test('reload: from one address to every address and back, under load', timeout, async (t) => {
  const { headgate, port, reload } = await proxy(t, (port) => `127.0.0.1:${port}`);
  const established = connect(t, `127.0.0.1:${port}`);
  t.ok(await says(established, 'before'));
  const load = new Load(() => exchange(t, `127.0.0.1:${port}`));
  for (const bind of [
    `0.0.0.0:${port}`,
    `127.0.0.1:${port}`,
    `*:${port}`,
    [`127.0.0.1:${port}`, `[::1]:${port}`],
    `0.0.0.0:${port}`,
    [`0.0.0.0:${port}`, `[::]:${port}`],
    `*:${port}`,
    `127.0.0.1:${port}`,
  ]) {
    t.match(await reload(bind), { ok: true }, `${bind}`);
    await sleep(100);
  }
  t.equal(await load.end(), 0, `of ${load.count}`);
  t.ok(load.count > 100, `${load.count} connections`);
  t.ok(await says(established, 'after'));
  t.same(
    headgate.addresses.map(({ address }) => address),
    [`127.0.0.1:${port}`],
  );
  t.notOk(await exchange(t, `127.0.0.2:${port}`), 'what is gone is gone');
});

t.test('reload: an address goes, and comes again at once', timeout, async (t) => {
  const other = await freePort();
  const { port, reload } = await proxy(t, (port) => [`127.0.0.1:${port}`, `127.0.0.1:${other}`]);
  for (let round = 0; round < 3; round++) {
    t.match(await reload(`127.0.0.1:${other}`), { ok: true });
    t.notOk(await exchange(t, `127.0.0.1:${port}`));
    t.match(await reload([`127.0.0.1:${port}`, `127.0.0.1:${other}`]), { ok: true });
    t.ok(await exchange(t, `127.0.0.1:${port}`));
  }
});

t.test('reload: a wider address is not shared with somebody else', timeout, async (t) => {
  const { port, reload } = await proxy(t, (port) => `127.0.0.1:${port}`);
  // Of the same user and willing to share: the kernel would not object.
  const stranger = openListener(
    createKernel(),
    new Sockaddr({ family: 'inet', host: '127.0.0.2', port }),
    { backlog: 8, reusePort: true, ipv6Only: false },
  );
  t.teardown(() => createKernel().close(stranger));
  for (const bind of [`0.0.0.0:${port}`, `*:${port}`]) {
    t.match(await reload(bind), { ok: false, problems: [/already in use \(EADDRINUSE\)/] }, bind);
  }
  t.ok(await exchange(t, `127.0.0.1:${port}`));
  createKernel().close(stranger);
  t.match(await reload(`0.0.0.0:${port}`), { ok: true });
  t.ok(await exchange(t, `127.0.0.2:${port}`));
});

t.test('reload: a chosen port can be made a fixed one in two steps', timeout, async (t) => {
  const { headgate, reload } = await proxy(t, () => '127.0.0.1:0');
  const address = addressOf(headgate, 'a');
  const { port } = new URL(`tcp://${address}`);
  t.match(await reload(address), { ok: false, problems: [/it takes two reloads/] });
  t.match(await reload(`0.0.0.0:${port}`), { ok: true });
  t.match(await reload(address), { ok: true });
  t.ok(await exchange(t, address));
});

t.test('reload: a socket file changes its mode, and keeps its queue', timeout, async (t) => {
  const path = `${temporaryDirectory(t)}/a.sock`;
  const { reload } = await proxy(t, () => `unix:${path}`, 'socket: { mode: "0600" },');
  const mode = () => statSync(path).mode & 0o777;
  const { ino } = statSync(path);
  t.equal(mode(), 0o600);
  t.match(await reload(`unix:${path}`, 'socket: { mode: "0666" },'), { ok: true });
  t.equal(mode(), 0o666);
  t.match(await reload(`unix:${path}`), { ok: true });
  t.equal(mode(), 0o777 & ~process.umask());
  t.equal(statSync(path).ino, ino, 'the same file');
  const client = net.connect(path);
  t.teardown(() => client.destroy());
  t.ok(await says(client, 'hello'));
});

t.test('reload: socket files come and go under load', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  const path = (name: string) => `${directory}/${name}.sock`;
  const { reload } = await proxy(t, () => [`unix:${path('kept')}`, `unix:${path('one')}`]);
  const over = async (name: string) => {
    const client = net.connect(path(name)).on('error', () => {});
    const isWell = await says(client, 'hello');
    client.destroy();
    return isWell;
  };
  const load = new Load(() => over('kept'));
  for (let round = 0; round < 4; round++) {
    t.match(await reload([`unix:${path('kept')}`, `unix:${path('other')}`]), { ok: true });
    t.ok(await over('other'));
    t.notOk(statSync(path('one'), { throwIfNoEntry: false }));
    t.match(await reload([`unix:${path('kept')}`, `unix:${path('one')}`]), { ok: true });
    t.ok(await over('one'));
  }
  t.equal(await load.end(), 0, `of ${load.count}`);
});

t.test('drain: the file of a socket is left to who comes next', timeout, async (t) => {
  const path = `${temporaryDirectory(t)}/a.sock`;
  const over = () => net.connect(path).on('error', () => {});
  const { headgate } = await proxy(t, () => `unix:${path}`);
  const established = over();
  t.ok(await says(established, 'before'));
  const drained = headgate.drain(10_000);
  t.notOk(statSync(path, { throwIfNoEntry: false }), 'at once');
  await proxy(t, () => `unix:${path}`);
  established.destroy();
  await drained;
  const client = over();
  t.ok(await says(client, 'after'), 'the first has ended, and the second serves');
  client.destroy();
});

for (const end of ['drain', 'close'] as const) {
  t.test(`${end}: what a reload under way has bound goes, too`, timeout, async (t) => {
    const dns = await DnsServer.open();
    t.teardown(() => dns.close());
    for (const type of ['A', 'AAAA'] as const) dns.reply('app.test', type, 'silence');
    const path = `${temporaryDirectory(t)}/a.sock`;
    const [port, adminPort] = [await freePort(), await freePort()];
    const parse = (binds: string[], endpoint: string, more = '') => {
      // A name is waited for as long as a connection may take: longer than this test may.
      const loaded = loadConfig(`workers: 2
log: { level: silent }
timeouts: { connect: 10m }
${more}
listeners: { a: { bind: ${JSON.stringify(binds)}, tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoint}"] } }`);
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
      return loaded.config;
    };
    const discovery = { servers: [dns.address] };
    const first = parse(['127.0.0.1:0'], (await echoOrigin(t)).address);
    const supervisor = await Supervisor.start(first, { discovery });
    t.teardown(() => supervisor.close());
    const established = connect(t, supervisor.addresses[0]!.address);
    t.ok(await says(established, 'before'));

    const binds = ['127.0.0.1:0', `127.0.0.1:${port}`, `unix:${path}`];
    const admin = `admin: { bind: "127.0.0.1:${adminPort}" }`;
    const reloaded = supervisor.reload(parse(binds, 'app.test.:80', admin));
    await until(10_000, 'the name is asked for', () => dns.questions.length > 0);
    t.ok(statSync(path, { throwIfNoEntry: false }), 'it is bound');
    const ended = supervisor[end]();
    t.match(await reloaded, { ok: false, problems: ['the proxy is stopping'] });
    if (end === 'drain') t.ok(await says(established, 'after'), 'who drains is served');
    established.destroy();
    await ended;
    t.notOk(statSync(path, { throwIfNoEntry: false }), 'the file');
    for (const one of [port, adminPort]) t.ok(await isRefused(one), `port ${one}`);
  });
}

/** Whether nobody listens there. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
