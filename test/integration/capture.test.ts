// What the program captures, and what `headgate capture` makes of it.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { capturePath, listCaptures, type StoredCapture } from '#src/control/index.js';
import { ByteStream } from '#test/support/bytes.js';
import { missingProgram, testWith } from '#test/support/capability.js';
import { startConfigured } from '#test/support/configured.js';
import { until, within } from '#test/support/deadline.js';
import { type Headgate, programPath } from '#test/support/headgate.js';
import { echo, Origin } from '#test/support/origin.js';
import { Peer } from '#test/support/peer.js';
import { runProgram } from '#test/support/program.js';
import { temporaryDirectory } from '#test/support/rig.js';
import { authority, certificate, kit } from '#test/support/tls-kit.js';

const timeout = { timeout: 60_000 };
const MIB = 1024 * 1024;

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly listener: string;
  readonly incomplete?: string;
  readonly captured: { client: number; upstream: number };
  readonly [key: string]: unknown;
}

/** Runs `headgate capture ARGS…`. */
async function capture(...args: string[]): Promise<Buffer> {
  const program = [process.execPath, programPath, 'capture'];
  return (await runProgram([...program, ...args], 20_000)).stdout;
}

async function list(directory: string, ...args: string[]): Promise<Listed[]> {
  const lines = (await capture('list', directory, '--json', ...args)).toString().trim();
  return lines === '' ? [] : lines.split('\n').map((line) => JSON.parse(line));
}

/** The captures of a directory, once `count` of them have ended. */
function ended(directory: string, count: number, headgate: Headgate): Promise<StoredCapture[]> {
  const found = () => {
    const all = existsSync(directory) ? listCaptures(directory) : [];
    return all.filter(({ end }) => end !== undefined).length >= count ? all : undefined;
  };
  return until(15_000, `${count} captures`, found, headgate.context);
}

function bytesOf({ directory, head }: StoredCapture, direction: 'client' | 'upstream'): Buffer {
  return readFileSync(capturePath(directory, head.id, direction));
}

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

const httpListener = (directory: string): object => ({
  bind: '127.0.0.1:0',
  http: {
    routes: [{ match: { host: 'a' }, upstream: 'origin' }],
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

t.test('capture: list, show and export', timeout, async (t) => {
  const home = temporaryDirectory(t);
  const directory = `${home}/c`;
  const origin = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => origin.close());
  const { headgate, finish } = await startConfigured(t, {
    listeners: {
      a: {
        bind: '127.0.0.1:0',
        tcp: { upstream: 'u', capture: { directory, max_bytes: 4 * MIB } },
      },
    },
    upstreams: { u: { endpoints: [origin.address] } },
  });
  for (const length of [100, 3 * MIB]) {
    const peer = await Peer.connect(headgate.address);
    const stream = new ByteStream(length);
    await Promise.all([peer.sendStream(stream, length), peer.receiveStream(stream, length)]);
    peer.end();
    await peer.receiveEnd();
  }
  await ended(directory, 2, headgate);
  const [small, large] = await list(directory);
  t.same([small!.state, large!.state, large!.incomplete], ['complete', 'incomplete', 'max_bytes']);
  t.equal((await list(directory, '--incomplete')).length, 1);
  t.equal((await list(directory, '--listener', 'b')).length, 0);
  t.equal((await list(directory, '--client', '127.0.0.1', '--since', '1h')).length, 2);
  t.equal((await list(directory, '--since', '2100-01-01')).length, 0);
  t.match(
    (await capture('list', directory)).toString(),
    /ID +LISTENER.*\n.*complete\n.*max_bytes\n$/,
  );
  const shown = (await capture('show', small!.id, '-d', directory)).toString();
  t.match(shown, /^id +\S+\nlistener +a\n/);
  t.match(shown, /> client {2}\+0\.\d{6}s {2}100 bytes\n {2}000000( {1,2}[0-9a-f]{2}){16} {2}/);
  const file = `${home}/out`;
  const exports = [
    'export',
    large!.id,
    '-d',
    directory,
    '--format',
    'raw',
    '--direction',
    'client',
  ];
  await capture(...exports, '-o', file);
  new ByteStream(3 * MIB).verify(readFileSync(file), 0);
  t.equal(readFileSync(file).length, large!.captured.client);
  t.equal(statSync(file).mode & 0o777, 0o600);
  await t.rejects(capture(...exports, '-o', file), /is there; --force replaces it/);
  await capture(...exports, '-o', file, '--force');
  for (const [args, problem] of [
    [['show', '../../etc/passwd', '-d', directory], /is not the id of a capture/],
    [['show', 'a-0-0', '-d', directory], /no capture "a-0-0"/],
    [['list', `${home}/nowhere`], /no directory/],
    [['export', small!.id, '-d', directory, '--format', 'raw'], /needs --direction/],
    [['export', small!.id, '-d', directory], /--format must be/],
    [['list', directory, '--since', 'soon'], /is no time/],
  ] as const) {
    await t.rejects(capture(...args), problem);
  }
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
  t.equal((await list(directory))[1]!.state, 'open');
  await headgate.kill();
  const [first, second] = await list(directory);
  t.equal(first!.state, 'complete');
  t.equal(second!.state, 'incomplete');
  stream.verify(bytesOf(listCaptures(directory)[1]!, 'client'), 0);
  const packets = await capture('export', second!.id, '-d', directory, '--format', 'pcapng');
  t.ok(packets.length > 2 * MIB);
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

const families = {
  IPv4: '127.0.0.1:0',
  IPv6: '[::1]:0',
  unix: (t: Test) => `unix:${temporaryDirectory(t)}/s`,
};

for (const [family, bind] of Object.entries(families)) {
  testWith(
    missingProgram(['tshark']),
    `capture: Wireshark reads what is exported, ${family}`,
    timeout,
    async (t) => {
      const home = temporaryDirectory(t);
      const directory = `${home}/c`;
      const origin = await Origin.listen('127.0.0.1:0', echo);
      t.teardown(() => origin.close());
      const { headgate, finish } = await startConfigured(t, {
        listeners: {
          a: {
            bind: typeof bind === 'string' ? bind : bind(t),
            tcp: { upstream: 'u', capture: { directory } },
          },
        },
        upstreams: { u: { endpoints: [origin.address] } },
      });
      const peer = await Peer.connect(headgate.address);
      const stream = new ByteStream(8);
      // Odd numbers of bytes, and one that is spliced.
      const lengths = [1, 1459, 1461, 200_001, MIB];
      let sent = 0;
      for (const length of lengths) {
        await Promise.all([
          peer.sendStream(stream, length, undefined, sent),
          peer.receiveStream(stream, length, undefined, sent),
        ]);
        sent += length;
      }
      peer.end();
      await peer.receiveEnd();
      const [one] = await ended(directory, 1, headgate);
      const file = `${home}/flow.pcapng`;
      await capture('export', one!.head.id, '-d', directory, '--format', 'pcapng', '-o', file);
      const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
      const tshark = (...args: string[]) =>
        runProgram(['tshark', '-n', '-r', file, ...checks, ...args], 30_000);
      const wrong =
        '_ws.malformed || tcp.analysis.flags || tcp.checksum.status != "Good" || ip.checksum.status == "Bad"';
      t.equal((await tshark('-Y', wrong)).stdout.toString(), '', 'nothing to complain about');
      const ends = (await tshark('-Y', 'tcp.flags.syn==1 || tcp.flags.fin==1')).stdout.toString();
      t.equal(ends.trim().split('\n').length, 4, 'a beginning and an end');
      const [client, upstream] = followed((await tshark('-q', '-z', 'follow,tcp,raw,0')).stdout);
      stream.verify(client, 0);
      stream.verify(upstream, 0);
      t.same([client.length, upstream.length], [sent, sent]);
      await finish();
    },
  );
}

/** What `follow,tcp,raw` says: a line of hex for each segment, behind a tab what the second end sent. */
function followed(output: Buffer): [Buffer, Buffer] {
  const sides: [string[], string[]] = [[], []];
  for (const line of output.toString().split('\n')) {
    const [, tab, hex] = /^(\t?)([0-9a-f]+)$/.exec(line) ?? [];
    if (hex !== undefined) sides[tab === '' ? 0 : 1].push(hex);
  }
  const [client, upstream] = sides.map((lines) => Buffer.from(lines.join(''), 'hex'));
  return [client!, upstream!];
}
