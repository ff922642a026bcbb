// What the program captures: byte for byte what its clients sent and got.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { listCaptures } from '#src/control/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { bytesOf, ended } from '#test/support/capture/captures-found.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { echo, Origin } from '#test/support/peers/origin.js';
import { Peer } from '#test/support/peers/peer.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { expectCleanExit, temporaryDirectory } from '#test/support/programs/rig.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 60_000 };
const MIB = 1024 * 1024;

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** A connection that notes what it sends and hears. */
class Recorded {
  readonly sent: Buffer[] = [];
  readonly heard: Buffer[] = [];

  constructor(readonly socket: net.Socket) {
    socket.on('data', (data: Buffer) => this.heard.push(data));
    socket.on('error', () => {});
  }

  send(data: Buffer | string): void {
    const bytes = Buffer.from(data);
    this.sent.push(bytes);
    this.socket.write(bytes);
  }

  /** Waits until the last bytes heard are these. */
  async hears(end: string): Promise<void> {
    const isThere = () => Buffer.concat(this.heard.slice(-3)).toString('latin1').endsWith(end);
    await until(10_000, `hear ${JSON.stringify(end)}`, isThere);
  }

  async hearsBytes(count: number): Promise<void> {
    const heard = () => this.heard.reduce((sum, { length }) => sum + length, 0);
    await until(
      10_000,
      `hear ${count} bytes`,
      () => heard() >= count,
      () => `${heard()}`,
    );
  }
}

/** Answers GET with as many bytes as the path says, echoes other bodies in chunks, and becomes an echo when asked. */
async function startOrigin(t: Test): Promise<string> {
  const stream = new ByteStream(77);
  const server = http.createServer((request, response) => {
    if (request.method === 'GET') response.end(stream.slice(0, Number(request.url!.slice(1))));
    else request.pipe(response);
  });
  server.on('upgrade', (_request, socket) => {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n',
    );
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

/** Three requests on one connection, an answer of Headgate's own among them, then a tunnel. */
async function converse(client: Recorded): Promise<void> {
  client.send('GET /100 HTTP/1.1\r\nHost: a\r\n\r\nGET /3000000 HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.hears(new ByteStream(77).slice(0, 3_000_000).subarray(-20).toString('latin1'));
  client.send('GET /nothing HTTP/1.1\r\nHost: elsewhere\r\nAccept: text/plain\r\n\r\n');
  await until(5000, '404', () => Buffer.concat(client.heard).includes('HTTP/1.1 404'));
  client.send('POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.send('5\r\nhello\r\n');
  const body = new ByteStream(5).slice(0, 200_000);
  client.send(`${body.length.toString(16)}\r\n`);
  client.send(body);
  client.send('\r\n0\r\n\r\n');
  await client.hears('0\r\n\r\n');
  client.send('GET /t HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
  await until(5000, '101', () => Buffer.concat(client.heard).includes('HTTP/1.1 101'));
  await client.hears('\r\n\r\n');
  const before = client.heard.reduce((sum, { length }) => sum + length, 0);
  client.send(new ByteStream(6).slice(0, 2 * MIB));
  await client.hearsBytes(before + 2 * MIB);
  client.socket.end();
  await within(5000, 'the end', once(client.socket, 'close'));
}

const httpListener = (directory: string, more: readonly object[] = []): object => ({
  bind: '127.0.0.1:0',
  http: {
    routes: [{ match: { host: 'a' }, upstream: 'origin' }, ...more],
    capture: { directory },
  },
});

t.test('capture: an HTTP connection, as its client sent and got it', timeout, async (t) => {
  const directory = `${temporaryDirectory(t)}/c`;
  const { headgate, finish } = await startConfigured(t, {
    listeners: { web: httpListener(directory) },
    upstreams: { origin: { endpoints: [await startOrigin(t)] } },
  });
  const client = new Recorded(net.connect(headgate.port, '127.0.0.1'));
  await converse(client);
  const [one] = await ended(directory, 1, headgate);
  t.equal(one!.state, 'complete');
  t.match(one!.head, { protocol: 'http', listener: 'web' });
  t.match(one!.end, { close: 'done' });
  const [sent, heard] = [Buffer.concat(client.sent), Buffer.concat(client.heard)];
  t.equal(hash(bytesOf(one!, 'client')), hash(sent));
  t.equal(hash(bytesOf(one!, 'upstream')), hash(heard));
  await finish();
});

t.test('capture: files that are sent from the page cache', timeout, async (t) => {
  const home = temporaryDirectory(t);
  const [small, large] = [new ByteStream(1).slice(0, 500), new ByteStream(2).slice(0, 5_000_001)];
  writeFileSync(`${home}/small`, small);
  writeFileSync(`${home}/large`, large);
  const directory = `${home}/c`;
  const { headgate } = await startConfigured(t, {
    listeners: { web: httpListener(directory, [{ files: { root: home } }]) },
    upstreams: { origin: { demo: true } },
  });
  const client = new Recorded(net.connect(headgate.port, '127.0.0.1'));
  for (const [name, bytes] of Object.entries({ small, large })) {
    client.send(`GET /${name} HTTP/1.1\r\nHost: files\r\n\r\n`);
    await client.hears(bytes.subarray(-20).toString('latin1'));
  }
  client.send('GET /large HTTP/1.1\r\nHost: files\r\nRange: bytes=4000000-4099999\r\n\r\n');
  await client.hears(large.subarray(4_099_980, 4_100_000).toString('latin1'));
  client.socket.end();
  await within(5000, 'the end', once(client.socket, 'close'));
  const [one] = await ended(directory, 1, headgate);
  t.equal(one!.state, 'complete', JSON.stringify(one!.end));
  t.equal(hash(bytesOf(one!, 'client')), hash(Buffer.concat(client.sent)));
  t.equal(hash(bytesOf(one!, 'upstream')), hash(Buffer.concat(client.heard)));
  // Files stay open in a cache for a while.
  await expectCleanExit(t, headgate);
});

testWith(missingProgram(['openssl']), 'capture: the plaintext of TLS', timeout, async (t) => {
  const directory = `${temporaryDirectory(t)}/c`;
  authority();
  const { chain, key } = certificate(['a.test']);
  const tls = { certificates: [{ cert: kit.write('captured.pem', chain + key) }] };
  const echoes = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => echoes.close());
  const { headgate, finish } = await startConfigured(t, {
    listeners: { web: { ...httpListener(directory), tls } },
    upstreams: { origin: { endpoints: [await startOrigin(t)] } },
  });
  const options = { host: '127.0.0.1', servername: 'a.test', ca: authority() };
  const socket = connectTls({ ...options, port: headgate.port });
  const client = new Recorded(socket);
  await within(5000, 'the handshake', once(socket, 'secureConnect'));
  await converse(client);
  const [one] = await ended(directory, 1, headgate);
  t.equal(one!.state, 'complete');
  t.match(one!.head, { server_name: 'a.test', tls: /^1\.3 TLS_/ });
  t.equal(hash(bytesOf(one!, 'client')), hash(Buffer.concat(client.sent)));
  t.equal(hash(bytesOf(one!, 'upstream')), hash(Buffer.concat(client.heard)));
  await finish();
});

t.test('capture: after kill -9 everything that was written is there', timeout, async (t) => {
  const home = temporaryDirectory(t);
  const directory = `${home}/c`;
  const origin = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => origin.close());
  const config = {
    listeners: { a: { bind: '127.0.0.1:0', tcp: { upstream: 'u', capture: { directory } } } },
    upstreams: { u: { endpoints: [origin.address] } },
  };
  const { headgate } = await startConfigured(t, config);
  const stream = new ByteStream(1);
  const whole = await Peer.connect(headgate.address);
  await Promise.all([whole.sendStream(stream, 1000), whole.receiveStream(stream, 1000)]);
  whole.end();
  await whole.receiveEnd();
  const peer = await Peer.connect(headgate.address);
  await Promise.all([peer.sendStream(stream, MIB), peer.receiveStream(stream, MIB)]);
  await ended(directory, 1, headgate);
  const isThere = () => listCaptures(directory).some(({ upstreamBytes }) => upstreamBytes === MIB);
  await until(5000, 'the other is being captured', isThere);
  t.equal(listCaptures(directory)[1]!.state, 'open');
  await headgate.kill();
  const [first, second] = listCaptures(directory);
  t.equal(first!.state, 'complete');
  t.equal(second!.state, 'incomplete');
  stream.verify(bytesOf(listCaptures(directory)[1]!, 'client'), 0);
  const again = await startConfigured(t, config);
  const marked = () => listCaptures(directory)[1]!.end?.incomplete === 'interrupted';
  await until(5000, 'the next process writes the end', marked);
  await again.finish();
});

t.test('capture: beside a mirror', timeout, async (t) => {
  const directory = `${temporaryDirectory(t)}/c`;
  const origin = await Origin.listen('127.0.0.1:0', echo);
  const shadow = await Origin.listen('127.0.0.1:0');
  t.teardown(() => origin.close());
  t.teardown(() => shadow.close());
  const { headgate, finish } = await startConfigured(t, {
    listeners: {
      a: { bind: '127.0.0.1:0', tcp: { upstream: 'u', mirror: 'shadow', capture: { directory } } },
    },
    upstreams: { u: { endpoints: [origin.address] }, shadow: { endpoints: [shadow.address] } },
  });
  const stream = new ByteStream(4);
  const length = 6 * MIB;
  const peer = await Peer.connect(headgate.address);
  const heard = shadow
    .accept()
    .then((other) => other.receiveStream(stream, length).catch(() => {}));
  await Promise.all([peer.sendStream(stream, length), peer.receiveStream(stream, length)]);
  peer.end();
  await peer.receiveEnd();
  await within(10_000, 'the shadow hears it, or is cut off', heard);
  const [one] = await ended(directory, 1, headgate);
  t.equal(one!.state, 'complete');
  stream.verify(bytesOf(one!, 'client'), 0);
  stream.verify(bytesOf(one!, 'upstream'), 0);
  t.same([one!.clientBytes, one!.upstreamBytes], [length, length]);
  shadow.close();
  await finish();
});
