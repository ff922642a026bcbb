// Another configuration while clients have no connection to an endpoint yet.
import net from 'node:net';
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
