import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { systemClock } from '#src/control/discovery/index.js';
import type {
  CheckedEndpoint,
  HealthCheck,
  HttpCheck,
  Verdict,
} from '#src/control/health/index.js';
import { makeProbe } from '#src/control/health/probe.js';
import { sleep, within } from '#test/support/deadline.js';
import { Blackhole } from '#test/support/peers/blackhole.js';
import { expectNothingLeft, resources } from '../discovery/leftovers.js';
import { endpointAt, type Serve, serve, serveHttp } from './health-peer.js';

const tcp: HealthCheck = { intervalMs: 1_000, timeoutMs: 2_000, rise: 1, fall: 1 };
const http = (check: Partial<HttpCheck> = {}): HealthCheck => ({
  ...tcp,
  http: { path: '/healthz', ...check },
});
const hurried = (check: HealthCheck): HealthCheck => ({ ...check, timeoutMs: 200 });

/** One check, which must leave nothing behind. */
async function probe(endpoint: CheckedEndpoint, check: HealthCheck): Promise<Verdict> {
  const before = resources();
  const verdict = new Promise<Verdict>((resolve) => {
    makeProbe(endpoint, check, systemClock, resolve);
  });
  const result = await within(5_000, 'the verdict', verdict);
  await expectNothingLeft(before);
  return result;
}

function directory(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'headgate-health-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

t.test('probe: a connection that is accepted passes', async (t) => {
  const endpoint = await serve(t, () => undefined);
  t.same(await probe(endpoint, tcp), { outcome: 'pass', reason: 'connection accepted' });
});

t.test('probe: from the source address, to endpoints of its family', async (t) => {
  const sources: (string | undefined)[] = [];
  const endpoint = await serve(t, ({ remoteAddress }) => sources.push(remoteAddress));
  for (const source of ['127.0.0.9', '::1']) {
    t.match(await probe(endpoint, { ...tcp, source }), { outcome: 'pass' });
  }
  t.same(sources, ['127.0.0.9', '127.0.0.1']);
  t.same(await probe(endpoint, { ...tcp, source: '192.0.2.1' }), {
    outcome: 'fail',
    reason: 'no local address or port to connect from',
  });
});

t.test('probe: Unix sockets, with a file and without', async (t) => {
  for (const path of [join(directory(t), 'socket'), `\0headgate-health-${process.pid}`]) {
    const endpoint = await serveHttp(t, (_, response) => response.end('ok'), path);
    t.match(await probe(endpoint, tcp), { outcome: 'pass' });
    t.match(await probe(endpoint, http()), { outcome: 'pass', reason: 'status 200' });
  }
  const nowhere = endpointAt(`unix:${directory(t)}/none`);
  t.same(await probe(nowhere, tcp), { outcome: 'fail', reason: 'there is no such socket' });
});

t.test('probe: nobody listens', async (t) => {
  t.same(await probe(endpointAt('127.0.0.1:1'), tcp), {
    outcome: 'fail',
    reason: 'connection refused',
  });
});

t.test('probe: nobody accepts', { timeout: 20_000 }, async (t) => {
  const { address } = await Blackhole.open(t);
  t.same(await probe(endpointAt(address), hurried(tcp)), {
    outcome: 'fail',
    reason: 'timeout after 200 ms while connecting',
  });
});

t.test('probe: the request is one that servers understand', async (t) => {
  let request: Record<string, unknown> = {};
  const endpoint = await serveHttp(t, ({ method, url, headers }, response) => {
    request = { method, url, ...headers };
    response.end();
  });
  await probe(endpoint, http());
  t.match(request, {
    method: 'GET',
    url: '/healthz',
    host: endpoint.address.text,
    connection: 'close',
    'user-agent': 'headgate-health',
  });
  await probe({ ...endpoint, host: 'api.example' }, http());
  t.match(request.host, /^api\.example:\d+$/);
  await probe({ ...endpoint, host: 'api.example' }, http({ host: 'other.example' }));
  t.equal(request.host, 'other.example');
});

t.test('probe: statuses from 200 to 399 pass, or those that are listed', async (t) => {
  const endpoint = await serveHttp(t, ({ url }, response) => {
    response.writeHead(Number(url!.slice(1))).end();
  });
  const check = async (status: number, statuses?: HttpCheck['statuses']) =>
    (await probe(endpoint, http({ path: `/${status}`, statuses }))).reason;
  t.equal(await check(200), 'status 200');
  t.equal(await check(399), 'status 399');
  t.equal(await check(404), 'status 404, expected 200-399');
  t.equal(await check(503), 'status 503, expected 200-399');
  t.equal(await check(101), 'status 101, expected 200-399');
  const listed = [
    { from: 200, to: 200 },
    { from: 401, to: 403 },
  ];
  t.equal(await check(401, listed), 'status 401');
  t.equal(await check(404, listed), 'status 404, expected 200, 401-403');
  t.equal(await check(204, listed), 'status 204, expected 200, 401-403');
});

t.test('probe: words in the body, split anywhere, within 64 KiB', async (t) => {
  const endpoint = await serveHttp(t, async ({ url }, response) => {
    if (url === '/split') {
      response.write('all sys');
      await sleep(20);
      response.end('tems go');
    } else if (url === '/late') response.end(`${'x'.repeat(70_000)}systems go`);
    else if (url === '/edge') response.end(`${'x'.repeat(65_536 - 10)}systems go`);
    else response.end('out of order');
  });
  const check = (path: string) => probe(endpoint, http({ path, body: 'systems go' }));
  t.same(await check('/split'), { outcome: 'pass', reason: '"systems go" is in the body' });
  t.match(await check('/edge'), { outcome: 'pass' });
  t.same(await check('/late'), {
    outcome: 'fail',
    reason: 'no "systems go" in the first 64 KiB of the body',
  });
  t.same(await check('/other'), { outcome: 'fail', reason: 'no "systems go" in the body' });
});

t.test('probe: without words to look for, the head is enough', async (t) => {
  const endpoint = await serveHttp(t, (_, response) => {
    response.writeHead(200, { 'content-length': 10 }).flushHeaders();
  });
  t.match(await probe(endpoint, http()), { outcome: 'pass' });
  t.same(await probe(endpoint, hurried(http({ body: 'ok' }))), {
    outcome: 'fail',
    reason: 'timeout after 200 ms while reading the body',
  });
});

const answers: [string, Serve, string][] = [
  ['hangs after accept', () => undefined, 'timeout after 200 ms while waiting for the answer'],
  [
    'hangs within the head',
    (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-le'),
    'timeout after 200 ms while waiting for the answer',
  ],
  ['closes at once', (socket) => socket.end(), 'connection closed while waiting for the answer'],
  [
    'closes within the head',
    (socket) => socket.end('HTTP/1.1 200 OK\r\nx'),
    'connection closed while waiting for the answer',
  ],
  [
    'resets',
    (socket) => socket.once('data', () => socket.resetAndDestroy()),
    'connection reset while waiting for the answer',
  ],
  [
    'sends garbage',
    (socket) => socket.write('\x16\x03\x01\x02garbage\r\n\r\n'),
    'the answer is not HTTP: Expected HTTP/',
  ],
  [
    'speaks another protocol',
    (socket) => socket.write('220 mail.example ESMTP\r\n'),
    'the answer is not HTTP: Expected HTTP/',
  ],
  [
    'sends a head without end',
    (socket) => socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`),
    'the head of the answer is too large',
  ],
];

for (const [name, serveOne, reason] of answers) {
  t.test(`probe: a server that ${name}`, async (t) => {
    const endpoint = await serve(t, serveOne);
    const verdict = await probe(endpoint, hurried(http()));
    t.equal(verdict.outcome, 'fail');
    t.ok(verdict.reason.startsWith(reason), verdict.reason);
  });
}

t.test('probe: a body that is cut off, or comes too slowly', async (t) => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n';
  const cut = await serve(t, (socket) => socket.end(`${head}x`));
  t.equal(
    (await probe(cut, http({ body: 'ok' }))).reason,
    'connection closed while reading the body',
  );
  const slow = await serve(t, (socket) => {
    socket.write(head);
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  t.equal(
    (await probe(slow, hurried(http({ body: 'ok' })))).reason,
    'timeout after 200 ms while reading the body',
  );
});

t.test('probe: a request that cannot be sent is a reason as well', async (t) => {
  const endpoint = await serve(t, () => undefined);
  const verdict = await probe(endpoint, http({ path: '/a b' }));
  t.match(verdict, { outcome: 'fail', reason: /^the check cannot be made: .*path/ });
});

t.test('probe: a check that is cancelled says nothing, whenever that happens', async (t) => {
  const endpoint = await serve(t, (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\nx'));
  for (const afterMs of [undefined, 0, 1, 5, 20]) {
    const before = resources();
    let verdicts = 0;
    const cancel = makeProbe(endpoint, http({ body: 'ok' }), systemClock, () => {
      verdicts++;
    });
    if (afterMs !== undefined) await sleep(afterMs);
    cancel();
    cancel();
    await sleep(30);
    t.equal(verdicts, 0);
    await expectNothingLeft(before);
  }
});

t.test('probe: no descriptors left is not the endpoint’s fault', async (t) => {
  const connect = net.connect;
  t.teardown(() => {
    net.connect = connect;
  });
  net.connect = ((options: net.NetConnectOpts) => {
    const socket = connect(options);
    process.nextTick(() => socket.destroy(Object.assign(new Error('no'), { code: 'EMFILE' })));
    return socket;
  }) as typeof connect;
  t.same(await probe(endpointAt('127.0.0.1:1'), tcp), {
    outcome: 'inconclusive',
    reason: 'this machine cannot check: EMFILE',
  });
});
