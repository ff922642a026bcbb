// The admin endpoint of a proxy that runs, with live flows.
import net from 'node:net';
import t, { type Test } from 'tap';
import { type Headgate, start } from '#src/index.js';
import type { FlowList, FlowStatus } from '#src/proxy/index.js';
import { parseExposition } from '#test/support/control/exposition.js';
import { sleep, until } from '#test/support/deadline.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };

/** A server that keeps what it is sent and says nothing; `sockets` are its ends. */
async function listen(t: Test): Promise<{ address: string; sockets: net.Socket[] }> {
  const sockets: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, sockets };
}

class ProxyRig {
  constructor(
    readonly headgate: Headgate,
    readonly origin: { readonly address: string; readonly sockets: net.Socket[] },
  ) {}

  static async start(t: Test, { access = false } = {}): Promise<ProxyRig> {
    const origin = await listen(t);
    const unix = `${temporaryDirectory(t)}/listen.sock`;
    const headgate = await start(`
      workers: 2
      log: { level: silent, access: ${access} }
      admin: { bind: "127.0.0.1:0" }
      listeners:
        web: { bind: "127.0.0.1:0", tcp: { upstream: one } }
        db: { bind: "unix:${unix}", tcp: { upstream: two } }
      upstreams:
        one: { endpoints: ["${origin.address}"] }
        two: { endpoints: ["${origin.address}"] }
    `);
    t.teardown(() => headgate.close());
    return new ProxyRig(headgate, origin);
  }

  async connect(t: Test, listener: 'web' | 'db' = 'web'): Promise<net.Socket> {
    const { address } = this.headgate.addresses.find((one) => one.listener === listener)!;
    const before = this.origin.sockets.length;
    const path = /^unix:(.*)/.exec(address)?.[1];
    const options = { allowHalfOpen: true };
    const socket =
      path === undefined
        ? net.connect({ ...options, host: '127.0.0.1', port: Number(address.split(':')[1]) })
        : net.connect({ ...options, path });
    socket.on('error', () => {});
    t.teardown(() => socket.destroy());
    await until(3_000, 'the flow is there', () => this.origin.sockets.length > before);
    return socket;
  }

  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(new URL(path, this.headgate.adminAddress), init);
  }

  async flows(query = ''): Promise<FlowList> {
    return (await (await this.ask(`/api/flows?${query}`)).json()) as FlowList;
  }
}

function clientOf(socket: net.Socket): string {
  return `127.0.0.1:${socket.localPort}`;
}

for (const access of [true, false]) {
  const name = `flows: they are listed with what they moved, ${access ? 'with' : 'without'} an access log`;
  t.test(name, timeout, async (t) => {
    const proxy = await ProxyRig.start(t, { access });
    const first = await proxy.connect(t);
    await new Promise((resolve) => first.write('12345', resolve));
    const second = await proxy.connect(t);
    proxy.origin.sockets[1]!.write('123');
    await until(3_000, 'bytes arrived', () => proxy.origin.sockets[0]!.bytesRead === 5);
    await until(3_000, 'bytes came back', () => second.read() !== null);
    const { flows, matched } = await proxy.flows();
    t.equal(matched, 2);
    const expected = (client: net.Socket, up: number, down: number) => ({
      id: /^[01]-1?[12]$/,
      listener: 'web',
      client: clientOf(client),
      upstream: 'one',
      endpoint: proxy.origin.address,
      state: 'tunnelling',
      age_ms: Number,
      idle_ms: Number,
      connect_ms: Number,
      up: { bytes: up, path: up === 0 ? 'none' : 'copy', state: 'waiting' },
      down: { bytes: down, path: down === 0 ? 'none' : 'copy', state: 'waiting' },
    });
    t.match(flows, [expected(first, 5, 0), expected(second, 0, 3)], 'the oldest first');
    t.ok(flows[0]!.age_ms >= flows[0]!.idle_ms);
    t.ok(flows[0]!.age_ms < 5_000);
  });
}

t.test('flows: filters, order and limit are kept over all workers', timeout, async (t) => {
  const proxy = await ProxyRig.start(t);
  const clients: net.Socket[] = [];
  for (let index = 0; index < 8; index++) clients.push(await proxy.connect(t));
  await proxy.connect(t, 'db');
  for (const [index, client] of clients.entries()) client.write('x'.repeat(100 * (index + 1)));
  const total = () => proxy.origin.sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  await until(3_000, 'all bytes arrived', () => total() === 3600);

  const all = await proxy.flows();
  t.equal(all.matched, 9);
  t.equal(new Set(all.flows.map(({ id }) => id)).size, 9, 'names are unique');
  t.equal(new Set(all.flows.map(({ id }) => id.split('-')[0])).size, 2, 'of both workers');

  const most = await proxy.flows('sort=bytes&limit=3&listener=web');
  t.equal(most.matched, 8);
  t.strictSame(
    most.flows.map(({ up }) => up.bytes),
    [800, 700, 600],
  );
  const oldest = await proxy.flows('limit=9');
  const ages = oldest.flows.map(({ age_ms }) => age_ms);
  t.strictSame(
    ages,
    [...ages].sort((one, other) => other - one),
  );

  t.equal((await proxy.flows('upstream=two')).matched, 1);
  t.match((await proxy.flows('listener=db')).flows, [{ client: 'unix:', upstream: 'two' }]);
  t.equal((await proxy.flows('listener=nothing')).matched, 0);
  t.equal((await proxy.flows('client=127.0.0.1')).matched, 8, 'by host');
  t.equal((await proxy.flows('client=127.0.0')).matched, 0, 'a whole one');
  const [one] = (await proxy.flows(`client=${clientOf(clients[2]!)}`)).flows;
  t.equal(one?.up.bytes, 300);
  t.equal((await proxy.flows('state=tunnelling')).matched, 9);

  clients[0]!.end();
  await until(3_000, 'the FIN arrived', () => proxy.origin.sockets[0]!.readableEnded);
  const { flows: half } = await proxy.flows('state=halfClosed');
  t.match(half, [{ client: clientOf(clients[0]!), up: { state: 'ended' } }]);
});

t.test('flows: a direction whose reader is slow is blocked', timeout, async (t) => {
  const proxy = await ProxyRig.start(t);
  const client = await proxy.connect(t);
  client.pause();
  const chunk = Buffer.alloc(1024 * 1024);
  for (let index = 0; index < 32; index++) proxy.origin.sockets[0]!.write(chunk);
  let flow: FlowStatus | undefined;
  for (let attempt = 0; attempt < 100 && flow?.down.state !== 'blocked'; attempt++) {
    await sleep(20);
    [flow] = (await proxy.flows()).flows;
  }
  t.match(flow, { down: { state: 'blocked', path: 'mixed' }, up: { state: 'waiting', bytes: 0 } });
});

t.test('flows: DELETE ends one with a reset, and no other', timeout, async (t) => {
  const proxy = await ProxyRig.start(t);
  const clients = [await proxy.connect(t), await proxy.connect(t)];
  const errors: (string | undefined)[] = [];
  for (const [index, client] of clients.entries()) {
    client.on('error', ({ code }: NodeJS.ErrnoException) => {
      errors[index] = code;
    });
  }
  const { flows } = await proxy.flows(`client=${clientOf(clients[0]!)}`);
  const end = () => proxy.ask(`/api/flows/${flows[0]!.id}`, { method: 'DELETE' });
  t.equal((await end()).status, 200);
  await until(3_000, 'the client is told', () => errors[0] !== undefined);
  t.strictSame(errors, ['ECONNRESET']);
  t.equal((await end()).status, 404, 'it is gone');
  t.equal((await proxy.flows()).matched, 1);
  t.match(proxy.headgate.stats().listeners.web, { active: 1, closed: { ended_by_admin: 1 } });
  for (const id of ['7-1', 'x', '0', '0-0', '0-99999999999999999999', '-1--1', '0-1-1']) {
    t.equal((await proxy.ask(`/api/flows/${id}`, { method: 'DELETE' })).status, 404, id);
  }
});

t.test('admin: the metrics are those of the proxy', timeout, async (t) => {
  const proxy = await ProxyRig.start(t);
  await proxy.connect(t);
  const page = parseExposition(await (await proxy.ask('/metrics')).text());
  const web = page
    .get('headgate_connections_active')!
    .samples.find(({ labels }) => labels.listener === 'web');
  t.equal(web?.value, 1);
  const connects = page.get('headgate_upstream_connect_seconds')!.samples;
  t.equal(connects.find(({ name }) => name.endsWith('_count'))?.value, 1);
});

t.test('admin: while draining it lives, is well, and is not ready', timeout, async (t) => {
  const proxy = await ProxyRig.start(t);
  const client = await proxy.connect(t);
  t.equal((await proxy.ask('/readyz')).status, 200);
  const stopped = proxy.headgate.drain(10_000);
  t.equal((await proxy.ask('/readyz')).status, 503);
  t.equal((await proxy.ask('/healthz')).status, 200);
  t.equal((await proxy.flows()).matched, 1, 'who is still there');
  client.end();
  proxy.origin.sockets[0]!.end();
  await stopped;
  await t.rejects(proxy.ask('/healthz'));
});

t.test('admin: an address in use is one clear error, and nothing is left behind', async (t) => {
  const { address } = await listen(t);
  const before = descriptors();
  const config = `
    log: { level: silent }
    admin: { bind: "${address}" }
    listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: one } } }
    upstreams: { one: { endpoints: ["127.0.0.1:1"] } }
  `;
  await t.rejects(start(config), { code: 'EADDRINUSE', subject: address });
  t.same(descriptors(), before);
});

t.test('admin: it shows the configuration without the token', async (t) => {
  const token = 'b1946ac92492d2347c6235b4d2611184';
  const headgate = await start(`
    log: { level: silent }
    admin: { bind: "127.0.0.1:0", token: ${token} }
    listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: one } } }
    upstreams: { one: { endpoints: ["127.0.0.1:1"] } }
  `);
  t.teardown(() => headgate.close());
  const headers = { authorization: `Bearer ${token}` };
  const shown = await (
    await fetch(new URL('/api/config', headgate.adminAddress), { headers })
  ).text();
  t.match(JSON.parse(shown), { admin: { token: '***' }, listeners: [{ name: 'web' }] });
  t.notOk(shown.includes(token));
});
