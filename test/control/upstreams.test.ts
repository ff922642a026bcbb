// Upstreams of a proxy that runs: names that lead elsewhere, checks, orders by an operator.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Config, loadConfig } from '#src/config/index.js';
import { Supervisor, type UpstreamStatus } from '#src/control/index.js';
import { sleep } from '#test/support/deadline.js';
import { DnsServer } from '#test/support/peers/dns-server.js';

const timeout = { timeout: 60_000 };

/** A server that answers every connection with its name. */
async function named(t: Test, name: string, host = '127.0.0.1', port = 0): Promise<number> {
  const server = net.createServer((socket) => socket.on('error', () => {}).end(name));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, host, resolve);
  });
  t.teardown(() => server.close());
  return (server.address() as net.AddressInfo).port;
}

function configOf(upstream: string): Config {
  const loaded = loadConfig(`workers: 2
log: { level: silent }
timeouts: { connect: 1s }
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: ${upstream} }`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

class UpstreamRig {
  private constructor(
    readonly supervisor: Supervisor,
    readonly dns: DnsServer,
  ) {}

  /** @param upstream the keys of the upstream, as YAML in one line */
  static async start(
    t: Test,
    dns: DnsServer,
    upstream: string,
    hostsPath = '/dev/null',
  ): Promise<UpstreamRig> {
    const discovery = { servers: [dns.address], families: ['inet' as const], hostsPath };
    const supervisor = await Supervisor.start(configOf(upstream), { discovery });
    t.teardown(() => supervisor.close());
    return new UpstreamRig(supervisor, dns);
  }

  /** @param upstream as for {@link start} */
  async reload(upstream: string): Promise<void> {
    const result = await this.supervisor.reload(configOf(upstream));
    if (!result.ok) throw new Error(JSON.stringify(result));
  }

  /** What one connection is answered; nothing when it is refused. */
  ask(): Promise<string> {
    const { address } = this.supervisor.addresses[0]!;
    return new Promise((resolve) => {
      const socket = net.connect(Number(address.split(':')[1]), '127.0.0.1');
      let heard = '';
      socket.on('data', (data) => {
        heard += data;
      });
      socket.on('error', () => {}).on('close', () => resolve(heard));
    });
  }

  /** All the answers of so many connections. */
  async askAll(count: number): Promise<Set<string>> {
    return new Set(await Promise.all(Array.from({ length: count }, () => this.ask())));
  }

  async endpoints(): Promise<Map<string, UpstreamStatus['endpoints'][number]>> {
    const reply = await fetch(new URL('/api/upstreams', this.supervisor.adminAddress));
    const { upstreams } = (await reply.json()) as { upstreams: UpstreamStatus[] };
    return new Map(upstreams[0]!.endpoints.map((one) => [one.address, one]));
  }

  async order(endpoint: string, state: string): Promise<number> {
    const path = `/api/upstreams/app/${encodeURIComponent(endpoint)}`;
    const reply = await fetch(new URL(path, this.supervisor.adminAddress), {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ state }),
    });
    return reply.status;
  }
}

/** Asks again and again until the answer is yes. */
async function until(timeoutMs: number, what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}

async function openDns(t: Test): Promise<DnsServer> {
  const dns = await DnsServer.open();
  t.teardown(() => dns.close());
  return dns;
}

t.test('upstreams: a name that leads elsewhere takes new connections along', timeout, async (t) => {
  const port = await named(t, 'old');
  await named(t, 'new', '127.0.0.2', port);
  const dns = await openDns(t);
  dns.host('app.test', ['127.0.0.1'], 1);
  const rig = await UpstreamRig.start(t, dns, `{ endpoints: ["app.test.:${port}"] }`);
  t.strictSame(await rig.askAll(10), new Set(['old']));
  dns.host('app.test', ['127.0.0.2'], 1);
  await until(10_000, 'the new address', async () => (await rig.ask()) === 'new');
  t.strictSame(await rig.askAll(10), new Set(['new']));
  t.strictSame([...(await rig.endpoints()).keys()], [`127.0.0.2:${port}`]);
  dns.host('app.test', ['127.0.0.1', '127.0.0.2'], 1);
  await until(10_000, 'both', async () => (await rig.askAll(10)).size === 2);
  const page = await (await fetch(new URL('/metrics', rig.supervisor.adminAddress))).text();
  t.match(page, /^headgate_name_state\{name="app\.test\.",state="fresh"\} 1$/m);
  t.match(page, /^headgate_name_endpoints\{name="app\.test\."\} 2$/m);
});

t.test(
  'upstreams: an address of an interface that is not there is left out',
  timeout,
  async (t) => {
    const port = await named(t, 'here');
    const dns = await openDns(t);
    const directory = mkdtempSync(join(tmpdir(), 'headgate-upstreams-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    const hostsPath = join(directory, 'hosts');
    writeFileSync(hostsPath, 'fe80::1%nothere0 app.test\n127.0.0.1 app.test\n');
    const rig = await UpstreamRig.start(t, dns, `{ endpoints: ["app.test.:${port}"] }`, hostsPath);
    t.equal(await rig.ask(), 'here');
    t.strictSame([...(await rig.endpoints()).keys()], [`127.0.0.1:${port}`]);
  },
);

t.test('upstreams: a service has ports, weights and tiers', timeout, async (t) => {
  const [one, other, backup] = [await named(t, 'a'), await named(t, 'b'), await named(t, 'c')];
  const dns = await openDns(t);
  const srv = (port: number, priority: number) =>
    ({ type: 'SRV', priority, weight: 1, port, target: 'host.test', ttl: 1 }) as const;
  dns.host('host.test', ['127.0.0.1'], 1);
  dns.reply('_app._tcp.test', 'SRV', { records: [srv(one, 1), srv(other, 1), srv(backup, 2)] });
  const rig = await UpstreamRig.start(t, dns, '{ endpoints: ["srv:_app._tcp.test"] }');
  t.strictSame(await rig.askAll(20), new Set(['a', 'b']), 'not the second tier');
  t.match((await rig.endpoints()).get(`127.0.0.1:${backup}`), { backup: true, host: 'host.test' });
});

t.test(
  'upstreams: a name nobody knows refuses at once, until somebody does',
  timeout,
  async (t) => {
    const port = await named(t, 'here');
    const dns = await openDns(t);
    const rig = await UpstreamRig.start(t, dns, `{ endpoints: ["app.test.:${port}"] }`);
    const before = performance.now();
    t.equal(await rig.ask(), '');
    t.ok(performance.now() - before < 900, 'quickly');
    const refused = () => rig.supervisor.statistics().listeners.web!.closed.no_endpoint;
    await until(2_000, 'it is counted', async () => refused() === 1);
    dns.host('app.test', ['127.0.0.1']);
    await until(20_000, 'the name is known', async () => (await rig.ask()) === 'here');
  },
);

t.test(
  'upstreams: a resolver that says nothing holds a start up for so long only',
  timeout,
  async (t) => {
    const dns = await openDns(t);
    dns.reply('app.test', 'A', 'silence');
    const before = performance.now();
    await UpstreamRig.start(t, dns, '{ endpoints: ["app.test.:1"] }');
    const elapsedMs = performance.now() - before;
    t.ok(elapsedMs >= 900 && elapsedMs < 10_000, `${elapsedMs} ms for timeouts.connect of 1 s`);
  },
);

t.test('upstreams: a check takes an endpoint out and back in', timeout, async (t) => {
  let isWell = true;
  const sick = http.createServer((_, response) => {
    response.statusCode = isWell ? 200 : 503;
    response.end('sick');
  });
  await new Promise<void>((resolve) => sick.listen(0, '127.0.0.1', resolve));
  t.teardown(() => sick.close());
  const { port } = sick.address() as net.AddressInfo;
  const address = `127.0.0.1:${port}`;
  // The other is one line that node:http takes for an answer.
  const other = await named(t, 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
  const rig = await UpstreamRig.start(
    t,
    await openDns(t),
    `{ endpoints: ["${address}", "127.0.0.1:${other}"], health: { slow_start: 500ms, active: { http: /, interval: 50ms, timeout: 1s, rise: 2, fall: 2 } } }`,
  );
  const state = async (wanted: string) =>
    until(
      10_000,
      `the endpoint is ${wanted}`,
      async () => (await rig.endpoints()).get(address)!.state === wanted,
    );
  await state('up');
  isWell = false;
  await state('down');
  t.match((await rig.endpoints()).get(address)!.check, /503/);
  const connects = (await rig.endpoints()).get(address)!.connects;
  t.strictSame((await rig.askAll(10)).size, 1, 'only the other one answers');
  t.equal((await rig.endpoints()).get(address)!.connects, connects);
  isWell = true;
  await state('up');
  const weight = async () => (await rig.endpoints()).get(address)!.weight as number;
  t.ok((await weight()) < 1, 'slowly');
  await until(5_000, 'the whole weight', async () => (await weight()) === 1);
});

t.test('upstreams: a slow start goes on over a reload', timeout, async (t) => {
  let status = 200;
  const sick = http.createServer((_, response) => response.writeHead(status).end());
  await new Promise<void>((resolve) => sick.listen(0, '127.0.0.1', resolve));
  t.teardown(() => sick.close());
  const address = `127.0.0.1:${(sick.address() as net.AddressInfo).port}`;
  const upstream = (weight: number, interval: string) =>
    `{ endpoints: [{ address: "${address}", weight: ${weight} }], health: { slow_start: 24h, active: { http: /, interval: ${interval}, rise: 1, fall: 1 } } }`;
  const rig = await UpstreamRig.start(t, await openDns(t), upstream(10, '20ms'));
  const endpoint = async () => (await rig.endpoints()).get(address)!;
  for (const state of ['up', 'down', 'up']) {
    status = state === 'up' ? 200 : 503;
    await until(10_000, `is ${state}`, async () => (await endpoint()).state === state);
  }
  t.match(await endpoint(), { weight: 1 });
  await rig.reload(upstream(20, '20ms'));
  t.match(await endpoint(), { state: 'up', weight: 2 }, 'another weight');
  await rig.reload(upstream(20, '30ms'));
  t.match(await endpoint(), { state: 'up', weight: 2 }, 'another check');
});

t.test('upstreams: checks come from where connections come from', timeout, async (t) => {
  const sources = new Set<string | undefined>();
  const server = net.createServer((socket) => {
    sources.add(socket.remoteAddress);
    socket.on('error', () => {}).end('here');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const rig = await UpstreamRig.start(
    t,
    await openDns(t),
    `{ endpoints: ["127.0.0.1:${port}"], socket: { source: 127.0.0.9 }, health: { active: { interval: 20ms } } }`,
  );
  const state = async () => (await rig.endpoints()).get(`127.0.0.1:${port}`)!.state;
  await until(10_000, 'is up', async () => (await state()) === 'up');
  t.equal(await rig.ask(), 'here');
  t.strictSame(sources, new Set(['127.0.0.9']));
});

t.test('upstreams: an operator drains an endpoint and makes it ready', timeout, async (t) => {
  const [one, other] = [await named(t, 'a'), await named(t, 'b')];
  const rig = await UpstreamRig.start(
    t,
    await openDns(t),
    `{ endpoints: ["127.0.0.1:${one}", { address: "127.0.0.1:${other}", weight: 3 }] }`,
  );
  t.strictSame(await rig.askAll(8), new Set(['a', 'b']));
  t.equal(await rig.order(`127.0.0.1:${one}`, 'drain'), 200);
  t.equal((await rig.endpoints()).get(`127.0.0.1:${one}`)!.state, 'draining');
  t.strictSame(await rig.askAll(8), new Set(['b']));
  t.equal(await rig.order(`127.0.0.1:${one}`, 'ready'), 200);
  t.strictSame(await rig.askAll(8), new Set(['a', 'b']));
  t.equal(await rig.order('127.0.0.1:1', 'drain'), 404);
});

t.test('upstreams: backups serve while no primary does', timeout, async (t) => {
  const [one, other] = [await named(t, 'a'), await named(t, 'b')];
  const rig = await UpstreamRig.start(
    t,
    await openDns(t),
    `{ endpoints: ["127.0.0.1:${one}", { address: "127.0.0.1:${other}", backup: true }], balance: { hash: source_ip } }`,
  );
  t.strictSame(await rig.askAll(8), new Set(['a']));
  await rig.order(`127.0.0.1:${one}`, 'drain');
  t.strictSame(await rig.askAll(8), new Set(['b']));
});
