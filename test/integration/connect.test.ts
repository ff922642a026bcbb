// The time between accepting a client and being connected to the upstream: failures, impatience, early bytes.
import t, { type Test } from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep, within } from '../support/deadline.js';
import { testWith } from '../support/machine/capability.js';
import { missingNamespaces, Namespace } from '../support/machine/netns.js';
import type { OpenFiles } from '../support/machine/proc.js';
import { freePort } from '../support/peers/address.js';
import { Blackhole } from '../support/peers/blackhole.js';
import { echo, Origin, source } from '../support/peers/origin.js';
import { Peer } from '../support/peers/peer.js';
import {
  type Headgate,
  type HeadgateOptions,
  startHeadgate,
} from '../support/programs/headgate.js';
import { expectNoLeak } from '../support/programs/leak.js';
import { expectCleanExit, Rig, temporaryDirectory } from '../support/programs/rig.js';

const MiB = 1 << 20;
const stream = new ByteStream(6);
const timeout = { timeout: 20_000 };

interface Proxy {
  readonly headgate: Headgate;
  readonly before: OpenFiles;
}

/** Headgate in front of an upstream that is no `Origin`. */
async function startProxy(
  t: Test,
  upstream: string,
  args: string[] = [],
  listen = '127.0.0.1:0',
  options: HeadgateOptions = {},
): Promise<Proxy> {
  const words = ['tcp', listen, upstream, '--workers', '1', '--access-log', ...args];
  const headgate = await startHeadgate(words, options);
  t.teardown(() => headgate.kill());
  return { headgate, before: headgate.openFiles() };
}

async function finish(t: Test, { headgate, before }: Proxy): Promise<void> {
  await expectNoLeak(headgate, before);
  await expectCleanExit(t, headgate);
}

t.test('connect: refused, the client is told at once', timeout, async (t) => {
  const proxy = await startProxy(t, `127.0.0.1:${await freePort()}`);
  const { headgate } = proxy;
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => Peer.connect(headgate.address)),
  );
  for (const client of clients) {
    await waitFor(headgate, 1_000, 'the end', client.ending());
    client.close();
  }
  for (const flow of await headgate.flowsEnded(20)) {
    t.match(flow, { bytes_up: 0, bytes_down: 0, close: 'connect_refused' });
  }
  await finish(t, proxy);
});

t.test('connect: an upstream that comes back is used at once', timeout, async (t) => {
  const port = await freePort();
  const proxy = await startProxy(t, `127.0.0.1:${port}`);
  const { headgate } = proxy;
  const early = await Peer.connect(headgate.address);
  await waitFor(headgate, 1_000, 'the end of the early client', early.ending());
  early.close();
  const origin = await Origin.listen(`127.0.0.1:${port}`, echo);
  t.teardown(() => origin.close());
  const client = await Peer.connect(headgate.address);
  await client.send('hello');
  t.equal((await waitFor(headgate, 1_000, 'the echo', client.receive(5))).toString(), 'hello');
  client.end();
  await waitFor(headgate, 1_000, 'FIN', client.receiveEnd());
  t.match(await headgate.flowsEnded(2), [{ close: 'connect_refused' }, { close: 'done' }]);
  await finish(t, proxy);
});

t.test('connect: a unix socket that does not exist', timeout, async (t) => {
  const proxy = await startProxy(t, `unix:${temporaryDirectory(t)}/nothing.sock`);
  const { headgate } = proxy;
  const client = await Peer.connect(headgate.address);
  await waitFor(headgate, 1_000, 'the end', client.ending());
  client.close();
  t.match(await headgate.flowsEnded(1), [{ close: /^connect_/ }]);
  await finish(t, proxy);
});

t.test('connect: no answer, the client is told after the timeout', timeout, async (t) => {
  const blackhole = await Blackhole.open(t);
  const proxy = await startProxy(t, blackhole.address, ['--connect-timeout', '700ms']);
  const { headgate } = proxy;
  const startMs = performance.now();
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => Peer.connect(headgate.address)),
  );
  await clients[0]!.send('early');
  const cpu = await headgate.cpuSecondsDuring(500);
  t.ok(cpu < 0.1, `${cpu} s of CPU in 0.5 s of connecting`);
  const endings = clients.map((client) => client.ending());
  await waitFor(headgate, 2_000, 'the ends', Promise.all(endings));
  const elapsedMs = performance.now() - startMs;
  t.ok(elapsedMs > 650 && elapsedMs < 5_000, `${elapsedMs.toFixed()} ms`);
  for (const flow of await headgate.flowsEnded(20)) {
    t.match(flow, { bytes_down: 0, close: 'connect_timeout' });
  }
  for (const client of clients) client.close();
  await finish(t, proxy);
});

for (const [name, route, close] of [
  ['no route to the upstream', undefined, 'connect_unreachable'],
  ['a route that answers unreachable', 'unreachable', 'connect_unreachable'],
  ['a route that drops every packet', 'drop', 'connect_timeout'],
] as const) {
  testWith(missingNamespaces(), `connect: ${name}`, timeout, async (t) => {
    const namespace = Namespace.create(t);
    if (route === 'unreachable') namespace.run('ip', 'route', 'add', 'unreachable', '10.78.0.1');
    if (route === 'drop') {
      // Packets leave for a hardware address that nobody has.
      const hardware = ['lladdr', '02:00:00:00:00:01', 'dev', 'void0'];
      namespace.run('ip', 'link', 'add', 'void0', 'type', 'veth', 'peer', 'name', 'void1');
      namespace.run('ip', 'address', 'add', '10.78.0.2/24', 'dev', 'void0');
      namespace.run('ip', 'link', 'set', 'void0', 'up');
      namespace.run('ip', 'link', 'set', 'void1', 'up');
      namespace.run('ip', 'neighbour', 'add', '10.78.0.1', ...hardware);
    }
    // A unix socket is reached from every namespace.
    const listen = `unix:${temporaryDirectory(t)}/listen.sock`;
    const args = ['--connect-timeout', '600ms'];
    const options = { prefix: namespace.prefix };
    const proxy = await startProxy(t, '10.78.0.1:80', args, listen, options);
    const { headgate } = proxy;
    const client = await Peer.connect(headgate.address);
    await waitFor(headgate, 2_000, 'the end', client.ending());
    client.close();
    t.match(await headgate.flowsEnded(1), [{ close }]);
    await finish(t, proxy);
  });
}

t.test('connect: a client that resets meanwhile is forgotten at once', timeout, async (t) => {
  const blackhole = await Blackhole.open(t);
  const proxy = await startProxy(t, blackhole.address, ['--connect-timeout', '30s']);
  const { headgate } = proxy;
  for (const early of ['', 'early bytes']) {
    const client = await Peer.connect(headgate.address);
    await client.send(early);
    await sleep(200);
    client.reset();
  }
  const flows = await headgate.flowsEnded(2);
  t.match(flows, [{ close: 'client_reset' }, { close: 'client_reset' }]);
  await finish(t, proxy);
});

t.test('connect: early bytes and FIN are kept for the upstream', timeout, async (t) => {
  const blackhole = await Blackhole.open(t);
  const proxy = await startProxy(t, blackhole.address, ['--connect-timeout', '10s']);
  const { headgate } = proxy;
  const ended = await Peer.connect(headgate.address);
  await ended.send('early bytes');
  ended.end();
  const silent = await Peer.connect(headgate.address);
  silent.end();
  const bulk = await Peer.connect(headgate.address);
  const sending = bulk.sendStream(stream, 32 * MiB).then(() => bulk.end());
  const cpu = await headgate.cpuSecondsDuring(500);
  t.ok(cpu < 0.15, `${cpu} s of CPU in 0.5 s of connecting`);
  blackhole.release();
  const answer = await waitFor(headgate, 5_000, 'the answer to early bytes', ended.receive(11));
  t.equal(answer.toString(), 'early bytes');
  await waitFor(headgate, 1_000, 'FIN behind it', ended.receiveEnd());
  await waitFor(headgate, 5_000, 'FIN without bytes', silent.receiveEnd());
  const echoed = Promise.all([sending, bulk.receiveStream(stream, 32 * MiB)]);
  await waitFor(headgate, 10_000, 'the bulk', echoed);
  await waitFor(headgate, 1_000, 'FIN behind the bulk', bulk.receiveEnd());
  const flows = await headgate.flowsEnded(3);
  t.same(
    flows.map((flow) => [flow.bytes_up, flow.bytes_down, flow.close]).sort(),
    [0, 11, 32 * MiB].map((length) => [length, length, 'done']).sort(),
  );
  await finish(t, proxy);
});

t.test('connect: a server that speaks first', timeout, async (t) => {
  for (const length of [5, 8 * MiB]) {
    const rig = await Rig.start(t, { handler: source(stream, length) });
    const client = await rig.connect();
    await rig.within(5_000, 'the greeting', client.receiveStream(stream, length));
    await rig.within(10_000, 'FIN', client.receiveEnd());
    client.end();
    t.match(await rig.headgate.flowsEnded(1), [{ bytes_down: length, close: 'done' }]);
    await rig.finish(t);
  }
});

t.test('connect: a server that accepts and ends at once', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: async (peer) => peer.end() });
  for (let round = 0; round < 20; round++) {
    const client = await rig.connect();
    await rig.within(10_000, 'FIN', client.receiveEnd());
    client.end();
  }
  t.equal((await rig.headgate.flowsEnded(20)).filter(({ close }) => close === 'done').length, 20);
  await rig.finish(t);
});

t.test('connect: a server that accepts and resets at once', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: async (peer) => peer.reset() });
  for (let round = 0; round < 20; round++) {
    const client = await rig.connect();
    const ending = await rig.within(10_000, 'the end', client.ending());
    t.equal(ending, 'reset', `the client sees ${ending}`);
    client.close();
  }
  // RST may come before the proxy has looked at its new connection: then it is a failed connect to it.
  for (const { close } of await rig.headgate.flowsEnded(20)) {
    t.match(close, /^(upstream_reset|connect_\w+)$/);
  }
  await rig.finish(t);
});

t.test('connect: a client that resets at once', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: async (peer) => void (await peer.ending()) });
  for (let round = 0; round < 50; round++) {
    const client = await rig.connect();
    client.reset();
  }
  await rig.expectNoLeak();
  // Whoever resets before it is accepted may never be seen; whoever is seen has its line.
  t.ok(rig.headgate.flows().every(({ close }) => close === 'client_reset'));
  await rig.finish(t);
});

function waitFor<T>(
  headgate: Headgate,
  timeoutMs: number,
  what: string,
  promise: Promise<T>,
): Promise<T> {
  return within(timeoutMs, what, promise, headgate.context);
}
