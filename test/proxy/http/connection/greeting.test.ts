// What comes before HTTP on a client's connection, through a whole worker: TLS, a PROXY header, both.
import { randomBytes } from 'node:crypto';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { httpRejectionNames } from '#src/proxy/index.js';
import { handshakeFailures, TlsVersion } from '#src/tls/index.js';
import { until, within } from '#test/support/deadline.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { authority, certificate } from '#test/support/tls/tls-kit.js';
import { DataWorker, type DataWorkerOptions } from '#test/support/worker/data-worker.js';

const timeout = { timeout: 30_000 };
const tls = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: 'auto',
  certificates: [certificate(['a.test', '127.0.0.1'])],
  alpn: ['http/1.1'],
  ticketKeys: [randomBytes(80)],
} as const;
const loopback = [{ bytes: [127, 0, 0, 0], prefixBits: 8 }];

function greetingTest(
  name: string,
  options: Partial<DataWorkerOptions>,
  body: (t: Test, worker: DataWorker) => Promise<void>,
): void {
  t.test(name, timeout, async (t) => {
    const before = descriptors();
    const origin = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => response.end(Buffer.concat(chunks)));
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as { port: number };
    const endpoints = [{ family: 'inet', host: '127.0.0.1', port }] as const;
    const worker = new DataWorker({ endpoints, http: plainHttp, ...options });
    await worker.ready;
    await body(t, worker);
    await until(5000, 'every connection ends', () => worker.count('flows_active') === 0);
    await worker.stop();
    await new Promise((resolve) => origin.close(resolve));
    await until(3000, 'descriptors are as before', () => same(descriptors(), before)).catch(
      () => {},
    );
    t.same(descriptors(), before, 'no descriptor is left open');
    t.equal(worker.count('exceptions'), 0);
  });
}

function same(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Posts `body` and gives back what is answered. */
async function echo(worker: DataWorker, agent: Agent, body: Buffer): Promise<Buffer> {
  const { port } = { port: worker.tcpPort };
  const host = '127.0.0.1';
  const request = httpsRequest({ host, port, agent, method: 'POST', servername: 'a.test' });
  request.end(body);
  const response = await within(
    10_000,
    'the answer',
    new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve);
      request.once('error', reject);
    }),
  );
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

t.before(async () => {
  // Node's own machinery for threads opens its descriptors with the first one, that for streams, too.
  const worker = new DataWorker({
    endpoints: [{ family: 'unix', path: '@nobody' }],
    tls,
    http: plainHttp,
  });
  await worker.ready;
  const agent = new Agent({ ca: authority() });
  await echo(worker, agent, Buffer.alloc(0));
  agent.destroy();
  await worker.stop();
});

greetingTest('greeting: HTTP over TLS, kept alive', { tls }, async (t, worker) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority() });
  for (const length of [0, 1, 1000, 100_000, 3_000_000]) {
    const body = randomBytes(length);
    t.ok((await echo(worker, agent, body)).equals(body), `${length} bytes`);
  }
  agent.destroy();
  t.equal(worker.counters.acceptedBy(0), 1, 'over one connection');
});

greetingTest('greeting: plain HTTP at the TLS port is told so', { tls }, async (t, worker) => {
  const request = httpRequest({ host: '127.0.0.1', port: worker.tcpPort });
  request.end();
  const response = await within(
    3000,
    'the answer',
    new Promise<IncomingMessage>((resolve) => request.once('response', resolve)),
  );
  t.equal(response.statusCode, 400);
  response.resume();
  await until(3000, 'the connection ends', () => worker.closed('tls_failed') === 1);
});

greetingTest(
  'greeting: silence is not waited for',
  { tls, timeouts: { tlsHandshakeMs: 200 } },
  async (t, worker) => {
    const socket = connectTcp(worker.tcpPort, '127.0.0.1');
    socket.resume();
    await within(3000, 'the end', new Promise((resolve) => socket.once('close', resolve)));
    await until(3000, 'it is counted', () => worker.closed('tls_timeout') === 1);
    t.equal(worker.counters.tls.failuresFor('client', handshakeFailures.indexOf('timeout')), 1);
  },
);

const line = 'PROXY TCP4 192.0.2.7 192.0.2.1 4242 443\r\n';
const get = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';

async function answerOf(socket: ReturnType<typeof connectTcp>): Promise<string> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await within(5000, 'the answer', new Promise((resolve) => socket.once('end', resolve)));
  return Buffer.concat(chunks).toString('latin1');
}

greetingTest(
  'greeting: a PROXY header before HTTP, whole and in pieces',
  { acceptProxyFrom: loopback },
  async (t, worker) => {
    const socket = connectTcp(worker.tcpPort, '127.0.0.1');
    socket.write(line + get);
    t.match(await answerOf(socket), /^HTTP\/1\.1 200 /);
    const slow = connectTcp({ port: worker.tcpPort, host: '127.0.0.1', noDelay: true });
    const answer = answerOf(slow);
    for (const byte of line + get) {
      slow.write(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.match(await answer, /^HTTP\/1\.1 200 /);
    const wrong = connectTcp(worker.tcpPort, '127.0.0.1');
    wrong.on('error', () => {});
    wrong.write(get);
    wrong.resume();
    await within(3000, 'the end', new Promise((resolve) => wrong.once('close', resolve)));
    await until(3000, 'it is counted', () => worker.closed('head_rejected') === 1);
  },
);

greetingTest(
  'greeting: a PROXY header, then TLS, then HTTP',
  { tls, acceptProxyFrom: loopback },
  async (t, worker) => {
    const raw = connectTcp(worker.tcpPort, '127.0.0.1');
    raw.write(line);
    const socket = connectTls({ socket: raw, servername: 'a.test', ca: authority() });
    await within(3000, 'TLS', new Promise((resolve) => socket.once('secureConnect', resolve)));
    socket.write(get);
    t.match(await answerOf(socket), /^HTTP\/1\.1 200 /);
    raw.destroy();
  },
);

greetingTest('greeting: what is no request is counted by why', {}, async (t, worker) => {
  const socket = connectTcp(worker.tcpPort, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  t.match(await answerOf(socket), /^HTTP\/1\.1 400 /);
  socket.destroy();
  const counts = httpRejectionNames.map((_, index) => worker.counters.httpRejectedOf(0, index));
  t.equal(
    counts.reduce((sum, count) => sum + count, 0),
    1,
  );
});
