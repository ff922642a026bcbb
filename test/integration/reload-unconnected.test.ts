// Another configuration while clients have no connection to an endpoint yet.
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { start } from '#src/index.js';
import { addressOf, connect, echoOrigin, says } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { Blackhole } from '#test/support/peers/blackhole.js';

const timeout = { timeout: 30_000 };

const text = (endpoints: string[], more = '') => `workers: 2
log: { level: silent }
timeouts: { connect: 20s }
listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ${JSON.stringify(endpoints)}${more} } }`;

/** Accepts, listens, and never says a word. */
async function silentServer(t: Test): Promise<{ address: string; hellos: () => number }> {
  let hellos = 0;
  const server = net.createServer((socket) => {
    socket.on('error', () => {}).once('data', () => hellos++);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  return { address: `127.0.0.1:${port}`, hellos: () => hellos };
}

/** Listens to all that comes, and says nothing. */
async function listener(t: Test): Promise<{ address: string; heard: () => string }> {
  let heard = '';
  const server = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (data) => {
        heard += data;
      });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  return { address: `127.0.0.1:${port}`, heard: () => heard };
}

t.test(
  'reload: who is connecting to an endpoint that goes is connected elsewhere',
  timeout,
  async (t) => {
    const [hole, app] = [await Blackhole.open(t), await echoOrigin(t)];
    const headgate = await start(text([hole.address]));
    t.teardown(() => headgate.close());
    const clients = Array.from({ length: 4 }, () => connect(t, addressOf(headgate, 'a')));
    const heard = clients.map((one, index) => says(one, `hello ${index}`));
    const attempts = () => headgate.stats().totals.connect_attempts;
    await until(3_000, 'all are connecting', () => attempts() === 4);
    await sleep(100);
    t.match(await headgate.reload(text([app.address])), { ok: true });
    const answers = within(5_000, 'answers long before the connect timeout', Promise.all(heard));
    t.same(await answers, [true, true, true, true]);
    t.equal(attempts(), 8);
    t.equal(headgate.stats().totals.connect_failures, 0, 'nothing is held against who has gone');
  },
);

t.test('reload: so is who shakes hands with an endpoint that goes', timeout, async (t) => {
  const silent = await silentServer(t);
  const app = await echoOrigin(t);
  const headgate = await start(text([silent.address], ', tls: { verify: false }'));
  t.teardown(() => headgate.close());
  const clients = Array.from({ length: 4 }, () => connect(t, addressOf(headgate, 'a')));
  const heard = clients.map((one, index) => says(one, `hello ${index}`));
  await until(3_000, 'all have begun', () => silent.hellos() === 4);
  t.match(await headgate.reload(text([app.address])), { ok: true });
  const answers = within(5_000, 'answers long before the handshake timeout', Promise.all(heard));
  t.same(await answers, [true, true, true, true]);
  t.equal(headgate.stats().totals.connect_failures, 0, 'nothing is held against who has gone');
});

t.test('reload: who is connecting to an endpoint that stays goes on', timeout, async (t) => {
  const [hole, app] = [await Blackhole.open(t), await echoOrigin(t)];
  const headgate = await start(text([hole.address]));
  t.teardown(() => headgate.close());
  const client = connect(t, addressOf(headgate, 'a'));
  const heard = says(client, 'patience');
  const attempts = () => headgate.stats().totals.connect_attempts;
  await until(3_000, 'it is connecting', () => attempts() === 1);
  t.match(await headgate.reload(text([hole.address, app.address])), { ok: true });
  hole.release();
  t.ok(await within(10_000, 'the echo', heard), 'after the kernel has sent its SYN again');
  t.equal(attempts(), 1);
  t.equal(app.accepted, 0);
});

t.test('reload: who waits is served when the limit grows', timeout, async (t) => {
  const app = await echoOrigin(t);
  const one = ', connections: { per_endpoint: 1, queue_timeout: 20s }';
  const headgate = await start(text([app.address], one));
  t.teardown(() => headgate.close());
  const holder = connect(t, addressOf(headgate, 'a'));
  t.ok(await says(holder, 'first'));
  const waiter = connect(t, addressOf(headgate, 'a'));
  const heard = says(waiter, 'second');
  const queued = () => headgate.stats().upstreams[0]!.waiting;
  await until(3_000, 'the second waits', () => queued() === 1);
  const shorter = ', connections: { per_endpoint: 2, queue_timeout: 20s }';
  t.match(await headgate.reload(text([app.address], shorter)), { ok: true });
  t.ok(await within(3_000, 'a larger limit makes room', heard));
  t.equal(queued(), 0);
});

t.test(
  'reload: who has yet to shake hands with us goes on where the upstream leads by then',
  timeout,
  async (t) => {
    const [old, app, oldShadow, shadow] = [
      await echoOrigin(t),
      await echoOrigin(t),
      await echoOrigin(t),
      await echoOrigin(t),
    ];
    const secure = (endpoint: string, mirrored: string) => `workers: 1
log: { level: silent }
listeners:
  a: { bind: "127.0.0.1:0", tls: { self_signed: [localhost] }, tcp: { upstream: app, mirror: shadow } }
upstreams: { app: { endpoints: ["${endpoint}"] }, shadow: { endpoints: ["${mirrored}"] } }`;
    const headgate = await start(secure(old.address, oldShadow.address));
    t.teardown(() => headgate.close());
    const socket = connect(t, addressOf(headgate, 'a'));
    await until(3_000, 'it is accepted', () => headgate.stats().totals.flows_active === 1);
    // Twice: what came before is not the only one that is outlived.
    t.match(await headgate.reload(secure(app.address, oldShadow.address)), { ok: true });
    t.match(await headgate.reload(secure(app.address, shadow.address)), { ok: true });
    const client = tls.connect({ socket, rejectUnauthorized: false });
    t.ok(await within(5_000, 'the echo', says(client, 'at last')));
    t.same([old.accepted, app.accepted], [0, 1], 'nobody goes where the upstream leads no more');
    await until(3_000, 'so does its copy', () => shadow.accepted === 1);
    t.equal(oldShadow.accepted, 0);
  },
);

t.test(
  'reload: who has yet to shake hands with us is connected by the TLS settings of then',
  timeout,
  async (t) => {
    const origin = await echoOrigin(t);
    const secured = await start(`workers: 1
log: { level: silent }
listeners: { a: { bind: "127.0.0.1:0", tls: { self_signed: [localhost] }, tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${origin.address}"] } }`);
    t.teardown(() => secured.close());
    const endpoint = addressOf(secured, 'a');
    const secure = (version: string) => `workers: 1
log: { level: silent }
listeners: { a: { bind: "127.0.0.1:0", tls: { self_signed: [localhost] }, tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${endpoint}"], tls: { verify: false, max_version: "${version}" } } }`;
    const headgate = await start(secure('1.3'));
    t.teardown(() => headgate.close());
    const socket = connect(t, addressOf(headgate, 'a'));
    await until(3_000, 'it is accepted', () => headgate.stats().totals.flows_active === 1);
    t.match(await headgate.reload(secure('1.2')), { ok: true });
    const client = tls.connect({ socket, rejectUnauthorized: false });
    t.ok(await within(5_000, 'the echo', says(client, 'at last')));
  },
);

t.test(
  'reload: a copy is sent without its PROXY header to nobody who wants one',
  timeout,
  async (t) => {
    const [hole, app, shadow] = [await Blackhole.open(t), await echoOrigin(t), await listener(t)];
    const mirrored = (endpoint: string, more = '') => `workers: 1
log: { level: silent }
timeouts: { connect: 20s }
listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: app, mirror: shadow } } }
upstreams: { app: { endpoints: ["${app.address}"] }, shadow: { endpoints: ["${endpoint}"]${more} } }`;
    const headgate = await start(mirrored(hole.address));
    t.teardown(() => headgate.close());
    t.ok(await says(connect(t, addressOf(headgate, 'a')), 'one'));
    // Nothing was to be said about the client when its copy began.
    const config = mirrored(shadow.address, ', send_proxy_protocol: v1');
    t.match(await headgate.reload(config), { ok: true });
    const cuts = () => headgate.stats().listeners.a!.mirrorsCut;
    await until(3_000, 'its copy is given up', () => cuts().unconnected === 1);
    t.ok(await says(connect(t, addressOf(headgate, 'a')), 'two'), 'a client of later');
    await until(3_000, 'the copy', () => /two$/.test(shadow.heard()));
    t.match(shadow.heard(), /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\ntwo$/);
  },
);

t.test(
  'reload: a request by a listener that is gone is copied with the header of now',
  timeout,
  async (t) => {
    const [app, shadow] = [
      http.createServer((_, response) => response.end('fine')),
      await listener(t),
    ];
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    t.teardown(() => app.close());
    const { port } = app.address() as net.AddressInfo;
    const mirrored = (name: string, more = '') => `workers: 1
log: { level: silent }
listeners: { ${name}: { bind: "127.0.0.1:0", http: { upstream: app, mirror: shadow } } }
upstreams: { app: { endpoints: ["127.0.0.1:${port}"] }, shadow: { endpoints: ["${shadow.address}"]${more} } }`;
    const headgate = await start(mirrored('a'));
    t.teardown(() => headgate.close());
    const client = connect(t, addressOf(headgate, 'a'));
    let answers = '';
    client.on('data', (data) => {
      answers += data;
    });
    client.write('GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two');
    await until(3_000, 'the first copy', () => /GET \/one/.test(shadow.heard()));
    await until(3_000, 'the first answer', () => /fine$/.test(answers));
    t.match(await headgate.reload(mirrored('b', ', send_proxy_protocol: v1')), { ok: true });
    client.write(' HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(3_000, 'the second copy', () => /GET \/two/.test(shadow.heard()));
    t.match(shadow.heard(), /\r\nPROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET \/two/);
  },
);
