// The PROXY protocol on both sides of headgate: the client's address goes through, and nothing else changes.
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import {
  type ProxyEndpoints,
  ProxyHeader,
  parseProxyHeader,
  writeProxyV1,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { hello, serverName } from '../proxy/tcp/hello-builder.js';
import { parseExposition } from '../support/control/exposition.js';
import { sleep, until, within } from '../support/deadline.js';
import { missingProgram, testWith } from '../support/machine/capability.js';
import { freePort } from '../support/peers/address.js';
import { echo, Origin } from '../support/peers/origin.js';
import { Peer } from '../support/peers/peer.js';
import { type Configured, startConfigured } from '../support/programs/configured.js';
import { Program, runProgram } from '../support/programs/program.js';
import { Rig, temporaryDirectory } from '../support/programs/rig.js';

const WAIT_MS = 5_000;
const timeout = { timeout: 60_000 };
const HEADER_BYTES_MAX = 536;

const told: ProxyEndpoints = {
  source: { family: 'inet', host: '192.0.2.7', port: 5555 },
  destination: { family: 'inet', host: '198.51.100.9', port: 443 },
};

function header(version: 1 | 2, endpoints: ProxyEndpoints | undefined): Buffer {
  const into = Buffer.alloc(HEADER_BYTES_MAX);
  const length = version === 1 ? writeProxyV1(into, endpoints) : writeProxyV2(into, endpoints);
  return into.subarray(0, length);
}

/** The PROXY header a connection begins with, and how many bytes came behind it. */
async function receiveHeader(peer: Peer): Promise<ProxyHeader> {
  const parsed = new ProxyHeader();
  let bytes = Buffer.alloc(0);
  for (;;) {
    bytes = Buffer.concat([bytes, await within(WAIT_MS, 'a PROXY header', peer.receive(1))]);
    const result = parseProxyHeader(bytes, 0, bytes.length, parsed, HEADER_BYTES_MAX);
    if (result < 0) throw new Error(`rejection ${-result}: ${bytes.toString('latin1')}`);
    if (result > 0) return parsed;
  }
}

async function listen(t: Test, handler?: (peer: Peer) => Promise<void>): Promise<Origin> {
  const origin = await Origin.listen('127.0.0.1:0', handler);
  t.teardown(() => origin.close());
  return origin;
}

interface Link {
  readonly to: string;
  readonly send?: 'v1' | 'v2';
  readonly from?: readonly string[];
  readonly routes?: boolean;
  readonly admin?: string;
  readonly head?: string;
  readonly balance?: object;
}

/** One headgate of a chain; it trusts 127.0.0.0/8 unless said. */
function link(t: Test, { to, send, from = ['127.0.0.0/8'], ...more }: Link): Promise<Configured> {
  const tcp = more.routes
    ? { routes: [{ sni: 'db.example.com', upstream: 'one' }] }
    : { upstream: 'one' };
  const accepts = from.length === 0 ? {} : { accept_proxy_protocol: { from } };
  return startConfigured(t, {
    timeouts: { head: more.head ?? '10s' },
    ...(more.admin && { admin: { bind: more.admin } }),
    listeners: { in: { bind: '127.0.0.1:0', ...accepts, tcp } },
    upstreams: { one: { endpoints: [to], ...(send && { send_proxy_protocol: send }) } },
  });
}

for (const [version, parsed] of [
  ['v1', 1],
  ['v2', 2],
] as const) {
  t.test(`proxy protocol: headgate tcp --proxy-protocol ${version}`, timeout, async (t) => {
    const rig = await Rig.start(t, { args: ['--proxy-protocol', version] });
    const { client, upstream } = await rig.pair();
    const came = await receiveHeader(upstream);
    const { localPort } = client.socket;
    t.match(came, {
      version: parsed,
      isLocal: false,
      endpoints: {
        source: { family: 'inet', host: '127.0.0.1', port: localPort },
        destination: { family: 'inet', host: '127.0.0.1', port: rig.headgate.port },
      },
    });
    await client.send('ping');
    t.equal((await upstream.receive(4)).toString(), 'ping');
    await upstream.send('answer');
    t.equal((await client.receive(6)).toString(), 'answer');
    client.end();
    await upstream.receiveEnd();
    upstream.end();
    await client.receiveEnd();
    const [line] = await rig.headgate.flowsEnded(1);
    t.match(line, { bytes_up: 4, bytes_down: 6, close: 'done' }, 'no byte of the header counts');
    await rig.finish(t);
  });

  t.test(
    `proxy protocol: ${version} of a unix socket's client tells nothing`,
    timeout,
    async (t) => {
      const listen = `unix:${temporaryDirectory(t)}/in.sock`;
      const rig = await Rig.start(t, { listen, args: ['--proxy-protocol', version] });
      const { client, upstream } = await rig.pair();
      const came = await receiveHeader(upstream);
      t.same([came.version, came.isLocal, came.endpoints], [parsed, parsed === 2, undefined]);
      client.close();
      upstream.close();
      await rig.finish(t);
    },
  );

  t.test(`proxy protocol: ${version} is taken, byte by byte too`, timeout, async (t) => {
    const origin = await listen(t);
    const { headgate, finish } = await link(t, { to: origin.address });
    const bytes = header(parsed, told);
    for (const pieces of [
      [Buffer.concat([bytes, Buffer.from('first')])],
      [bytes, Buffer.from('first')],
      [...Array.from(bytes, (byte) => Buffer.of(byte)), Buffer.from('first')],
    ]) {
      const client = await Peer.connect(headgate.address);
      client.socket.setNoDelay(true);
      for (const piece of pieces) {
        await client.send(piece);
        if (pieces.length > 1) await sleep(2);
      }
      const upstream = await origin.accept(headgate.context);
      t.equal((await within(WAIT_MS, 'bytes', upstream.receive(5))).toString(), 'first');
      client.end();
      await upstream.receiveEnd();
      upstream.end();
      await client.receiveEnd();
    }
    for (const line of await headgate.flowsEnded(3)) {
      t.match(line, { client: '192.0.2.7:5555', via: /^127\.0\.0\.1:\d+$/, bytes_up: 5 });
    }
    await finish();
  });

  t.test(`proxy protocol: ${version} through a chain of two, with routes`, timeout, async (t) => {
    const origin = await listen(t);
    const last = await link(t, { to: origin.address, send: version });
    const second = await link(t, { to: last.headgate.address, send: 'v2', routes: true });
    const first = await link(t, { to: second.headgate.address, send: version, from: [] });
    const bytes = hello({ extensions: [serverName('db.example.com')] });
    const client = await Peer.connect(first.headgate.address);
    const { localPort } = client.socket;
    await client.send(bytes);
    const upstream = await origin.accept(last.headgate.context);
    const { endpoints } = await receiveHeader(upstream);
    t.match(endpoints, {
      source: { host: '127.0.0.1', port: localPort },
      destination: { host: '127.0.0.1', port: first.headgate.port },
    });
    t.same(await within(WAIT_MS, 'the hello', upstream.receive(bytes.length)), bytes);
    upstream.end();
    client.end();
    await client.receiveEnd();
    await upstream.receiveEnd();
    for (const { headgate, finish } of [first, second, last]) {
      const [line] = await headgate.flowsEnded(1);
      t.match(line, { client: `127.0.0.1:${localPort}`, close: 'done', bytes_up: bytes.length });
      await finish();
    }
  });
}

t.test('proxy protocol: a bad header closes the connection, and is counted', timeout, async (t) => {
  const origin = await listen(t);
  const admin = `127.0.0.1:${await freePort()}`;
  const { headgate, finish } = await link(t, { to: origin.address, admin, head: '300ms' });
  const bad: [string | Buffer, string][] = [
    ['GET / HTTP/1.1\r\n\r\n', 'proxy_missing'],
    ['PROXY TCP4 1.2.3.4\r\n', 'proxy_line_malformed'],
    ['PROXY TCP4 1.2.3.4 1.2.3.400 1 2\r\n', 'proxy_address_malformed'],
    [
      Buffer.concat([header(2, told).subarray(0, 12), Buffer.from([0x31, 0x11])]),
      'proxy_unassigned',
    ],
    ['PROXY TCP4 ', 'head_timeout'],
  ];
  for (const [index, [bytes, rejection]] of bad.entries()) {
    const client = await Peer.connect(headgate.address);
    await client.send(bytes);
    await within(WAIT_MS, `the end after ${rejection}`, client.ending());
    client.close();
    t.match((await headgate.flowsEnded(index + 1)).at(-1), { rejection, bytes_up: 0 });
  }
  const page = await (
    await fetch(`http://${admin}/metrics`, { headers: { connection: 'close' } })
  ).text();
  const rejected = parseExposition(page).get('headgate_heads_rejected_total')!;
  t.same(
    rejected.samples.map(({ labels, value }) => [labels.reason, value]).sort(),
    bad.map(([, rejection]) => [rejection, 1]).sort(),
  );
  t.equal(origin.accepted, 0);
  await finish();
});

t.test('proxy protocol: nobody else is believed', timeout, async (t) => {
  const origin = await listen(t, echo);
  const { headgate, finish } = await link(t, { to: origin.address, from: ['10.0.0.0/8', '::1'] });
  const client = await Peer.connect(headgate.address);
  const bytes = header(1, told);
  await client.send(bytes);
  t.same(await within(WAIT_MS, 'the echo', client.receive(bytes.length)), bytes, 'it is data');
  client.end();
  await client.receiveEnd();
  const [line] = await headgate.flowsEnded(1);
  t.match(line, { client: /^127\.0\.0\.1:/, via: undefined, bytes_up: bytes.length });
  await finish();
});

t.test('proxy protocol: LOCAL and UNKNOWN leave the address as it is', timeout, async (t) => {
  const origin = await listen(t);
  const { headgate, finish } = await link(t, { to: origin.address, send: 'v2' });
  for (const version of [1, 2] as const) {
    const client = await Peer.connect(headgate.address);
    await client.send(header(version, undefined));
    const upstream = await origin.accept(headgate.context);
    const { endpoints } = await receiveHeader(upstream);
    t.match(endpoints, { source: { port: client.socket.localPort } });
    client.close();
    upstream.close();
  }
  for (const line of await headgate.flowsEnded(2)) t.match(line, { client: /^127\.0\.0\.1:/ });
  await finish();
});

/** Starts HAProxy with `sections` and waits until it listens on `port`. */
async function haproxy(t: Test, port: number, sections: string): Promise<void> {
  const file = `${temporaryDirectory(t)}/haproxy.cfg`;
  const defaults = 'defaults\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n';
  writeFileSync(file, `global\n nbthread 1\n${defaults}${sections}`);
  await runProgram(['haproxy', '-c', '-f', file], WAIT_MS);
  Program.start(t, ['haproxy', '-db', '-f', file]);
  let isListening = false;
  await until(WAIT_MS, 'haproxy listens', () => {
    const socket = net.connect(port, '127.0.0.1', () => {
      isListening = true;
      socket.destroy();
    });
    socket.on('error', () => {});
    return isListening;
  });
}

const needsHaproxy = missingProgram(['haproxy']);
for (const version of ['v1', 'v2'] as const) {
  const name = `proxy protocol: HAProxy on both sides, ${version}`;
  testWith(needsHaproxy, name, timeout, async (t) => {
    const [front, back] = [await freePort(), await freePort()];
    const { headgate, finish } = await link(t, { to: `127.0.0.1:${back}`, send: version });
    const keyword = version === 'v1' ? 'send-proxy' : 'send-proxy-v2';
    await haproxy(
      t,
      front,
      `
listen front
 mode tcp
 bind 127.0.0.1:${front}
 server next ${headgate.address} ${keyword}
frontend back
 mode http
 bind 127.0.0.1:${back} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst_port]"
`,
    );
    const client = net.connect(front, '127.0.0.1');
    client.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    await new Promise((resolve) => client.once('connect', resolve));
    const { localPort } = client;
    const answer = await within(WAIT_MS, 'an answer', text(client));
    t.equal(answer.split('\r\n\r\n')[1], `127.0.0.1 ${localPort} ${front}`);
    const wanted = `127.0.0.1:${localPort}`;
    await until(WAIT_MS, 'its line', () => headgate.flows().some((line) => line.client === wanted));
    await finish();
  });
}
