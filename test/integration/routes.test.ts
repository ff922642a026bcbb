// TLS streams go where their server name says, every byte untouched; what is no TLS is told so.
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { text } from 'node:stream/consumers';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { alpn, extension, hello, record, serverName } from '../proxy/tcp/hello-builder.js';
import { ByteStream } from '../support/bytes.js';
import { sleep, within } from '../support/deadline.js';
import { missingProgram, testWith } from '../support/machine/capability.js';
import { Origin, sink, source } from '../support/peers/origin.js';
import { Peer } from '../support/peers/peer.js';
import { type Configured, startConfigured } from '../support/programs/configured.js';
import type { FlowLine } from '../support/programs/headgate.js';
import { runProgram } from '../support/programs/program.js';
import { temporaryDirectory } from '../support/programs/rig.js';

const MiB = 1 << 20;
const WAIT_MS = 5_000;
const timeout = { timeout: 60_000 };
const needsOpenssl = missingProgram(['openssl']);

async function certificate(t: Test): Promise<{ cert: string; key: string }> {
  const directory = temporaryDirectory(t);
  const [key, cert] = [`${directory}/key.pem`, `${directory}/cert.pem`];
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const command = ['openssl', 'req', '-x509', ...newKey, '-subj', '/CN=any', '-days', '2'];
  await runProgram([...command, '-keyout', key, '-out', cert], WAIT_MS);
  return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
}

/** A TLS server that says `name` to whoever comes, then FIN. */
async function tlsOrigin(t: Test, name: string, pair: { cert: string; key: string }) {
  const server = tls.createServer(pair, (socket) => {
    socket.on('error', () => {});
    socket.end(name);
  });
  t.teardown(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

const routes = [
  { sni: 'db.example.com', upstream: 'db' },
  { sni: ['*.example.com', 'www.example.org'], upstream: 'web' },
];

/** Headgate in front of `db`, `web` and `rest`. */
async function start(
  t: Test,
  addresses: { db: string; web: string; rest?: string },
  headTimeout = '10s',
): Promise<Configured> {
  const { rest } = addresses;
  const fallback = rest === undefined ? [] : [{ upstream: 'rest' }];
  return startConfigured(t, {
    timeouts: { head: headTimeout },
    listeners: { tls: { bind: '127.0.0.1:0', tcp: { routes: [...routes, ...fallback] } } },
    upstreams: Object.fromEntries(
      Object.entries(addresses).map(([name, address]) => [name, { endpoints: [address] }]),
    ),
  });
}

function ask(port: number, servername: string | undefined): Promise<string> {
  const socket = tls.connect({
    ...{ port, host: '127.0.0.1', rejectUnauthorized: false },
    ...(servername !== undefined && { servername }),
  });
  return within(WAIT_MS, `an answer for ${servername}`, text(socket));
}

function closeAll(...origins: Origin[]): void {
  for (const origin of origins) origin.close();
}

function lastLine(flows: readonly FlowLine[]): FlowLine {
  return flows.at(-1)!;
}

testWith(needsOpenssl, 'routes: a stream goes where its server name says', timeout, async (t) => {
  const pair = await certificate(t);
  const db = await tlsOrigin(t, 'db', pair);
  const web = await tlsOrigin(t, 'web', pair);
  const rest = await tlsOrigin(t, 'rest', pair);
  const { headgate, finish } = await start(t, { db, web, rest });
  const expected: [string | undefined, string][] = [
    ['db.example.com', 'db'],
    ['DB.example.COM', 'db'],
    ['a.example.com', 'web'],
    ['a.b.example.com', 'web'],
    ['www.example.org', 'web'],
    ['example.com', 'rest'],
    ['other.example.net', 'rest'],
    [undefined, 'rest'],
  ];
  for (const [name, answer] of expected) {
    t.equal(await ask(headgate.port, name), answer, `${name}`);
  }
  // Node's server ends without close_notify, which openssl calls an error.
  const connectTo = ['sh', '-c', 'openssl s_client "$@" || true', 'sh', '-quiet'];
  connectTo.push('-connect', `127.0.0.1:${headgate.port}`);
  const named = await runProgram([...connectTo, '-servername', 'db.example.com'], WAIT_MS);
  t.match(named.stdout.toString(), /db/, 'openssl, TLS 1.3');
  const older = [...connectTo, '-servername', 'x.example.com', '-tls1_2'];
  t.match((await runProgram(older, WAIT_MS)).stdout.toString(), /web/, 'openssl, TLS 1.2');
  const nameless = await runProgram([...connectTo, '-noservername'], WAIT_MS);
  t.match(nameless.stdout.toString(), /rest/, 'openssl without a name');
  const flows = await headgate.flowsEnded(expected.length + 3);
  t.match(flows[0], { upstream: 'db', endpoint: db, server_name: 'db.example.com' });
  t.match(flows[4], { upstream: 'web', server_name: 'www.example.org' });
  t.equal(flows.filter((line) => line.upstream === 'rest').length, 4);
  await finish();
});

t.test('routes: the upstream gets every byte as it was sent', timeout, async (t) => {
  const [db, web] = [await Origin.listen(), await Origin.listen()];
  t.teardown(() => closeAll(db, web));
  const { headgate, finish } = await start(t, { db: db.address, web: web.address });
  const first = hello({ extensions: [serverName('db.example.com'), alpn('h2')] });
  for (const [how, pieces] of [
    ['at once, with more behind it', [Buffer.concat([first, Buffer.from('behind')])]],
    ['byte by byte', [...Array.from(first, (byte) => Buffer.of(byte)), Buffer.from('behind')]],
  ] as const) {
    const client = await Peer.connect(headgate.address);
    client.socket.setNoDelay(true);
    for (const piece of pieces) {
      await client.send(piece);
      if (pieces.length > 1) await sleep(2);
    }
    const upstream = await db.accept(headgate.context);
    const came = await within(WAIT_MS, how, upstream.receive(first.length + 6));
    t.equal(came.toString('latin1'), `${first.toString('latin1')}behind`, how);
    await upstream.send('answer');
    t.equal((await within(WAIT_MS, 'answer', client.receive(6))).toString(), 'answer');
    client.end();
    await upstream.receiveEnd();
    upstream.end();
    await client.receiveEnd();
  }
  const flows = await headgate.flowsEnded(2);
  for (const { close, bytes_up, bytes_down } of flows) {
    t.same([close, bytes_up, bytes_down], ['done', first.length + 6, 6]);
  }
  t.equal(web.accepted, 0);
  await finish();
});

t.test('routes: 64 MiB behind a ClientHello are spliced, both ways', timeout, async (t) => {
  const length = 64 * MiB;
  const stream = new ByteStream(5);
  const first = hello({ extensions: [serverName('db.example.com')] });
  const up = sink(stream, length);
  const down = source(stream, length);
  const db = await Origin.listen('127.0.0.1:0', async (peer) => {
    await peer.receive(first.length);
    await up(peer);
  });
  const web = await Origin.listen('127.0.0.1:0', async (peer) => {
    await peer.receive(hello({ extensions: [serverName('a.example.com')] }).length);
    await down(peer);
  });
  t.teardown(() => closeAll(db, web));
  const { headgate, finish } = await start(t, { db: db.address, web: web.address });
  const writer = await Peer.connect(headgate.address);
  await writer.send(first);
  await within(30_000, 'the upload', writer.sendStream(stream, length));
  writer.end();
  t.equal((await within(WAIT_MS, 'ok', writer.receive(2))).toString(), 'ok');
  const reader = await Peer.connect(headgate.address);
  await reader.send(hello({ extensions: [serverName('a.example.com')] }));
  await within(30_000, 'the download', reader.receiveStream(stream, length));
  reader.end();
  const [upload, download] = await headgate.flowsEnded(2);
  t.equal(upload!.bytes_up, length + first.length);
  t.match([upload!.path_up, download!.path_down].join(), /^(mixed|splice),(mixed|splice)$/);
  t.same([...db.failures, ...web.failures], []);
  await finish();
});

const alertOf = (description: number) => Buffer.from([21, 3, 3, 0, 2, 2, description]);
const refused: Record<string, { bytes: Buffer; rejection: string; alert?: number }> = {
  'a name without a route': {
    bytes: hello({ extensions: [serverName('nobody.example.net')] }),
    rejection: 'server_name_unknown',
    alert: 112,
  },
  'no name': {
    bytes: hello({ extensions: [alpn('h2')] }),
    rejection: 'server_name_missing',
    alert: 109,
  },
  'a malformed hello': {
    bytes: hello({ extensions: [extension(0, Buffer.from('garbage'))] }),
    rejection: 'server_name_malformed',
    alert: 50,
  },
  'another TLS record': {
    bytes: record(Buffer.alloc(5), 23),
    rejection: 'not_handshake',
    alert: 10,
  },
  'plain HTTP': {
    bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    rejection: 'plain_http',
  },
  garbage: { bytes: Buffer.from([0xde, 0xad, 0xbe, 0xef]), rejection: 'not_tls' },
};

t.test('routes: what leads nowhere is told why, and counted', timeout, async (t) => {
  const db = await Origin.listen();
  t.teardown(() => db.close());
  const { headgate, finish } = await start(t, { db: db.address, web: db.address });
  let ended = 0;
  for (const [what, { bytes, rejection, alert }] of Object.entries(refused)) {
    const client = await Peer.connect(headgate.address);
    await client.send(bytes);
    if (alert !== undefined) {
      const answer = await within(WAIT_MS, `an alert for ${what}`, client.receive(7));
      t.same(answer, alertOf(alert), what);
      await within(WAIT_MS, 'FIN', client.receiveEnd());
    } else await within(WAIT_MS, `the end of ${what}`, client.ending());
    client.close();
    const line = lastLine(await headgate.flowsEnded(++ended));
    t.match(line, { close: 'head_rejected', rejection, bytes_up: 0 }, what);
    t.equal(line.upstream, undefined);
  }
  const silent = await Peer.connect(headgate.address);
  silent.end();
  await within(WAIT_MS, 'FIN', silent.receiveEnd());
  t.match(lastLine(await headgate.flowsEnded(++ended)), { rejection: 'head_empty' });
  const cut = await Peer.connect(headgate.address);
  await cut.send(hello().subarray(0, 20));
  cut.end();
  await within(WAIT_MS, 'the end', cut.ending());
  t.match(lastLine(await headgate.flowsEnded(++ended)), { rejection: 'head_truncated' });
  const reset = await Peer.connect(headgate.address);
  await reset.send(hello().subarray(0, 20));
  await sleep(50);
  reset.reset();
  t.match(lastLine(await headgate.flowsEnded(++ended)), { rejection: 'head_reset' });
  t.equal(db.accepted, 0);
  await finish();
});

t.test('routes: a head that does not come in time is not waited for', timeout, async (t) => {
  const db = await Origin.listen();
  t.teardown(() => db.close());
  const { headgate, finish } = await start(t, { db: db.address, web: db.address }, '300ms');
  const silent = await Peer.connect(headgate.address);
  await within(WAIT_MS, 'FIN to a silent client', silent.receiveEnd());
  silent.close();
  const slow = await Peer.connect(headgate.address);
  await slow.send(hello().subarray(0, 30));
  const answer = await within(WAIT_MS, 'an alert', slow.receive(7));
  t.same(answer, Buffer.from([21, 3, 3, 0, 2, 1, 0]), 'close_notify');
  slow.close();
  const flows = await headgate.flowsEnded(2);
  for (const { close, rejection, duration_ms } of flows) {
    t.same([close, rejection], ['head_timeout', 'head_timeout']);
    t.ok(duration_ms >= 290 && duration_ms < 2_000, `${duration_ms} ms`);
  }
  await finish();
});

t.test('routes: waiting for heads costs no time', timeout, async (t) => {
  const db = await Origin.listen();
  t.teardown(() => db.close());
  const { headgate, finish } = await start(t, { db: db.address, web: db.address });
  const clients = Array.from({ length: 20 }, () => connectTcp(headgate.port, '127.0.0.1'));
  for (const client of clients) client.on('error', () => {}).write(hello().subarray(0, 9));
  await sleep(200);
  const cpu = await headgate.cpuSecondsDuring(1_000);
  t.ok(cpu < 0.1, `${cpu} s of CPU in 1 s`);
  for (const client of clients) client.destroy();
  await headgate.flowsEnded(20);
  await finish();
});
