// Mirrored connections of a whole proxy: two workers, a ClientHello in front, reloads, the end.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { buffer } from 'node:stream/consumers';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { capturePath, listCaptures } from '#src/control/index.js';
import { type Headgate, start } from '#src/index.js';
import { addressOf, connect, echoOrigin, says } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { payload } from '#test/support/random.js';
import { authority, certificate } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 30_000 };

/** Keeps what comes, one buffer for each connection, whole when it has ended; says nothing. */
class Shadow {
  readonly streams: Promise<Buffer>[] = [];
  readonly sockets: net.Socket[] = [];

  private constructor(readonly server: net.Server) {}

  static async listen(t: Test): Promise<Shadow> {
    const server = net.createServer();
    const shadow = new Shadow(server);
    server.on('connection', (socket) => {
      socket.on('error', () => {});
      shadow.sockets.push(socket);
      const stream = buffer(socket);
      stream.catch(() => {});
      shadow.streams.push(stream);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      for (const socket of shadow.sockets) socket.destroy();
      server.close();
    });
    return shadow;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }
}

async function started(t: Test, text: string): Promise<Headgate> {
  const headgate = await start(text);
  t.teardown(() => headgate.close());
  return headgate;
}

const config = (app: string, shadow: string, listener: string, more = '') => `workers: 2
log: { level: silent }
listeners: { in: { bind: "127.0.0.1:0", ${listener} } }
upstreams:
  app: { endpoints: ["${app}"] }
  shadow: { endpoints: ["${shadow}"]${more} }`;

const plain = 'tcp: { upstream: app, mirror: shadow }';

/** Sends everything and hears it back. */
async function echoed(socket: net.Socket | tls.TLSSocket, bytes: Buffer): Promise<boolean> {
  const heard = buffer(socket);
  socket.end(bytes);
  return (await within(10_000, 'the echo', heard)).equals(bytes);
}

t.test('mirror: many connections at a time', timeout, async (t) => {
  const [app, shadow] = [await echoOrigin(t), await Shadow.listen(t)];
  const headgate = await started(t, config(app.address, shadow.address, plain));
  const sent = Array.from({ length: 40 }, (_, seed) => payload(seed + 1, 10_000 * (seed + 1)));
  const address = addressOf(headgate, 'in');
  const heard = await Promise.all(sent.map((bytes) => echoed(connect(t, address), bytes)));
  t.ok(heard.every(Boolean));
  const copies = await within(10_000, 'all copies', Promise.all(shadow.streams));
  const byLength = (one: Buffer, other: Buffer) => one.length - other.length;
  t.ok(Buffer.concat(copies.sort(byLength)).equals(Buffer.concat(sent)));
  await until(10_000, 'nothing is left', () => headgate.stats().totals.mirrors_active === 0);
  const { mirrored, mirrorsCut } = headgate.stats().listeners.in!;
  t.same([mirrored, mirrorsCut], [40, {}]);
  t.equal(headgate.stats().totals.pipes_in_use, 0);
});

testWith(
  missingProgram(['openssl']),
  'mirror: a ClientHello that was looked at',
  timeout,
  async (t) => {
    const { chain, key } = certificate(['a.test']);
    const options = { cert: chain, key };
    const server = tls.createServer(options, (socket) => void socket.pipe(socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const app = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    const shadow = await Shadow.listen(t);
    const routes =
      'accept_proxy_protocol: { from: ["127.0.0.0/8"] }, tcp: { routes: [{ sni: a.test, upstream: app }], mirror: shadow }';
    const headgate = await started(t, config(app, shadow.address, routes));
    const raw = connect(t, addressOf(headgate, 'in'));
    raw.write('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n');
    const client = tls.connect({ socket: raw, servername: 'a.test', ca: authority() });
    await within(10_000, 'a handshake', once(client, 'secureConnect'));
    t.ok(await says(client, 'hello'));
    client.end();
    await until(10_000, 'the shadow', () => shadow.streams.length === 1);
    const copy = await within(5_000, 'the copy', shadow.streams[0]!);
    t.equal(copy[0], 22, 'a handshake record: the PROXY header was for us');
    t.ok(copy.includes('a.test'));
    t.equal(copy.length, raw.bytesWritten - 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'.length);
  },
);

t.test('mirror: a shadow that comes and goes', timeout, async (t) => {
  const app = await echoOrigin(t);
  let shadow = await Shadow.listen(t);
  const { address } = shadow;
  const headgate = await started(
    t,
    config(app.address, address, plain, ', health: { passive: false }'),
  );
  const bytes = payload(4, 300_000);
  const into = addressOf(headgate, 'in');
  for (let round = 0; round < 3; round++) {
    t.ok(await echoed(connect(t, into), bytes), 'while it is there');
    await until(10_000, 'its copy', () => shadow.streams.length > 0);
    t.ok((await within(10_000, 'the copy', shadow.streams[0]!)).equals(bytes));
    // It goes with a connection open.
    const client = connect(t, into);
    t.ok(await says(client, 'one'));
    for (const socket of shadow.sockets) socket.resetAndDestroy();
    shadow.server.close();
    t.ok(await says(client, 'two'), 'the connection goes on without it');
    client.destroy();
    t.ok(await echoed(connect(t, into), bytes), 'while it is gone');
    shadow = await Shadow.listen(t);
    const { port } = shadow.server.address() as net.AddressInfo;
    const text = config(app.address, `127.0.0.1:${port}`, plain, ', health: { passive: false }');
    t.match(await headgate.reload(text), { ok: true });
  }
  const { mirrorsCut } = headgate.stats().listeners.in!;
  t.same(mirrorsCut, { unconnected: 3, reset: 3 });
});

t.test(
  'mirror: a reload begins and ends it; connections keep what they have',
  timeout,
  async (t) => {
    const [app, shadow] = [await echoOrigin(t), await Shadow.listen(t)];
    const without = config(app.address, shadow.address, 'tcp: { upstream: app }');
    const headgate = await started(t, without);
    const into = addressOf(headgate, 'in');
    const first = connect(t, into);
    t.ok(await says(first, 'first'));
    t.match(await headgate.reload(config(app.address, shadow.address, plain)), { ok: true });
    const second = connect(t, into);
    t.ok(await says(second, 'second'));
    t.match(await headgate.reload(without), { ok: true });
    const third = connect(t, into);
    for (const [index, one] of [first, second, third].entries())
      t.ok(await says(one, `more ${index}`));
    t.equal(shadow.streams.length, 1);
    for (const one of [first, second, third]) one.end();
    t.equal((await within(10_000, 'the copy', shadow.streams[0]!)).toString(), 'secondmore 1');
  },
);

t.test(
  'mirror: draining waits a little for a shadow, and for nobody who is stuck',
  timeout,
  async (t) => {
    const [app, shadow] = [await echoOrigin(t), await Shadow.listen(t)];
    const stuck = 'tcp: { upstream: app, mirror: { upstream: shadow, timeout: 1s } }';
    const headgate = await start(config(app.address, shadow.address, stuck));
    t.teardown(() => headgate.close());
    // A shadow that never ends its side.
    shadow.server.removeAllListeners('connection');
    const received: number[] = [];
    shadow.server.on('connection', (socket: net.Socket) => {
      socket.on('error', () => {});
      shadow.sockets.push(socket);
      socket.allowHalfOpen = true;
      socket.on('data', (data) => received.push(data.length));
    });
    const client = connect(t, addressOf(headgate, 'in'));
    t.ok(await echoed(client, payload(5, 100_000)));
    await sleep(50);
    t.equal(headgate.stats().totals.mirrors_active, 1);
    await within(10_000, 'the end', headgate.drain());
    t.equal(
      received.reduce((sum, length) => sum + length, 0),
      100_000,
    );
  },
);

/** Reads each request to its end and answers it. */
async function webOrigin(t: Test): Promise<string> {
  const server = http.createServer((request, response) => {
    request.on('end', () => response.end('fine')).resume();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

for (const kind of ['tcp', 'http'] as const) {
  t.test(`mirror: beside a capture, both have everything (${kind})`, timeout, async (t) => {
    const directory = temporaryDirectory(t);
    const app = kind === 'tcp' ? (await echoOrigin(t)).address : await webOrigin(t);
    const shadow = await Shadow.listen(t);
    const listener = `${kind}: { upstream: app, mirror: { upstream: shadow, timeout: 500ms }, capture: { directory: "${directory}" } }`;
    const headgate = await started(t, config(app, shadow.address, listener));
    const client = connect(t, addressOf(headgate, 'in'));
    client.resume();
    const body = payload(8, 10_000_000);
    const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`;
    client.write(head);
    client.write(body);
    await until(5_000, 'all of it', () => {
      const { mirror_teed_bytes, mirror_copied_bytes } = headgate.stats().totals;
      return mirror_teed_bytes + mirror_copied_bytes >= head.length + body.length;
    });
    client.end();
    await until(5_000, 'the copy', () => headgate.stats().totals.mirrors_active === 0);
    const captured = () => listCaptures(directory).find(({ end }) => end !== undefined);
    const { head: record } = await until(10_000, 'the capture', captured);
    const bytes = readFileSync(capturePath(directory, record.id, 'client'));
    t.ok(bytes.equals(Buffer.concat([Buffer.from(head), body])));
    const copy = await shadow.streams[0]!.catch(() => Buffer.alloc(0));
    if (kind === 'tcp') t.ok(copy.equals(bytes));
    t.ok(headgate.stats().totals.mirror_teed_bytes > 1_000_000);
    t.equal(headgate.stats().listeners.in!.mirrorsCut.full, undefined);
  });
}

t.test('mirror: the admin interface shows it', timeout, async (t) => {
  const [app, shadow] = [await echoOrigin(t), await Shadow.listen(t)];
  const text = `admin: { bind: "127.0.0.1:0" }\n${config(app.address, shadow.address, plain)}`;
  const headgate = await started(t, text);
  const client = connect(t, addressOf(headgate, 'in'));
  t.ok(await says(client, 'hello'));
  const response = await fetch(new URL('/api/flows', headgate.adminAddress));
  const { flows } = (await response.json()) as { flows: { mirror?: unknown }[] };
  t.same(flows[0]!.mirror, { upstream: 'shadow', endpoint: shadow.address, bytes: 5 });
  const metrics = await (await fetch(new URL('/metrics', headgate.adminAddress))).text();
  t.match(metrics, /^headgate_mirrored_total\{listener="in"\} 1$/m);
  t.match(metrics, /^headgate_mirror_bytes_total\{path="copy"\} 5$/m);
  t.match(metrics, /^headgate_mirrors_active 1$/m);
});
