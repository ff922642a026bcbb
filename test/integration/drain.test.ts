// The end: SIGTERM and SIGINT stop accepting, let flows finish within the drain timeout, and exit with 0.
import t from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep, until } from '../support/deadline.js';
import { Blackhole } from '../support/peers/blackhole.js';
import { echo } from '../support/peers/origin.js';
import { Peer, passStream } from '../support/peers/peer.js';
import { standin, startHeadgate } from '../support/programs/headgate.js';
import { type Pair, Rig, temporaryDirectory } from '../support/programs/rig.js';

const MiB = 1 << 20;
const up = new ByteStream(8);
const down = new ByteStream(9);
const timeout = { timeout: 20_000 };
const cleanExit = { code: 0, signal: null };

/** Waits until nobody listens at `address` any more. */
async function refused(rig: Rig): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      const late = await Peer.connect(rig.headgate.address);
      late.reset();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNREFUSED' || code === 'ENOENT') return;
      throw error;
    }
    await sleep(20);
  }
  throw new Error('still accepting 2 s after the signal');
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  for (const workers of [1, 2]) {
    t.test(`drain: ${signal}, flows of ${workers} workers finish`, timeout, async (t) => {
      const rig = await Rig.start(t, { workers });
      const pairs = [];
      for (let index = 0; index < 8; index++) pairs.push(await rig.pair());
      const speaking = pairs.map(async ({ client, upstream }) => {
        await client.send('before');
        await upstream.receive(6);
      });
      await rig.within(10_000, 'the first bytes', Promise.all(speaking));
      rig.headgate.signal(signal);
      await refused(rig);
      await sleep(300);
      t.equal(rig.headgate.exited, undefined, 'it runs as long as there are flows');
      const finishing = pairs.map(async ({ client, upstream }) => {
        await passStream(client, upstream, up, 4 * MiB);
        await passStream(upstream, client, down, 4 * MiB);
      });
      await rig.within(10_000, 'the flows', Promise.all(finishing));
      t.strictSame(await rig.within(10_000, 'the exit', rig.headgate.exit), cleanExit);
      const done = rig.headgate.flows().filter(({ close }) => close === 'done');
      t.equal(done.length, 8, 'every flow is logged before the exit');
    });
  }

  t.test(`drain: ${signal} without flows ends at once`, timeout, async (t) => {
    const rig = await Rig.start(t, { handler: echo, workers: 2 });
    const client = await rig.connect();
    client.end();
    await rig.within(10_000, 'FIN', client.receiveEnd());
    await rig.expectNoLeak();
    rig.headgate.signal(signal);
    t.strictSame(await rig.within(10_000, 'the exit', rig.headgate.exit), cleanExit);
  });
}

t.test('drain: the lines of the last flows are written before the exit', timeout, async (t) => {
  // A worker hands its lines to the control thread and ends: many workers, for it is a race.
  for (let round = 0; round < 5; round++) {
    const rig = await Rig.start(t, { workers: 8 });
    const pairs: Pair[] = [];
    for (let index = 0; index < 24; index++) pairs.push(await rig.pair());
    rig.headgate.signal('SIGTERM');
    await sleep(50);
    const ending = pairs.map(async ({ client, upstream }) => {
      client.end();
      await upstream.receiveEnd();
      upstream.end();
      await client.receiveEnd();
    });
    await rig.within(5_000, 'the flows', Promise.all(ending));
    t.strictSame(await rig.within(10_000, 'the exit', rig.headgate.exit), cleanExit);
    t.equal(rig.headgate.flows().length, 24, `24 flow lines, round ${round}`);
  }
});

for (const workers of [1, 2]) {
  const name = `drain: clients that wait to be accepted by ${workers} workers are served`;
  t.test(name, timeout, async (t) => {
    const rig = await Rig.start(t, { handler: echo, workers });
    // The kernel completes connections while the program stands still; SIGTERM is the first thing it sees after.
    rig.headgate.signal('SIGSTOP');
    t.teardown(() => rig.headgate.signal('SIGCONT'));
    const clients = await Promise.all(Array.from({ length: 40 }, () => rig.connect()));
    for (const client of clients) await client.send('waited');
    rig.headgate.signal('SIGTERM');
    rig.headgate.signal('SIGCONT');
    const exchanges = clients.map(async (client) => {
      t.equal((await client.receive(6)).toString(), 'waited');
      client.end();
      await client.receiveEnd();
    });
    await rig.within(5_000, 'all that waited', Promise.all(exchanges));
    t.strictSame(await rig.within(10_000, 'the exit', rig.headgate.exit), cleanExit);
    t.equal(rig.headgate.flows().filter(({ close }) => close === 'done').length, 40);
  });
}

t.test('drain: after the drain timeout flows are closed', timeout, async (t) => {
  const rig = await Rig.start(t, { args: ['--drain-timeout', '800ms'], workers: 2 });
  const quiet = await rig.pair();
  const blocked = await rig.pair();
  blocked.upstream.sendStream(down, 256 * MiB).catch(() => undefined);
  await rig.within(5_000, 'the beginning', blocked.client.receiveStream(down, MiB));
  rig.headgate.signal('SIGTERM');
  const startMs = performance.now();
  await rig.within(3_000, "the quiet client's end", quiet.client.ending());
  await rig.within(5_000, "the quiet server's end", quiet.upstream.ending());
  t.strictSame(await rig.within(10_000, 'the exit', rig.headgate.exit), cleanExit);
  const elapsedMs = performance.now() - startMs;
  t.ok(elapsedMs > 790 && elapsedMs < 5_000, `${elapsedMs.toFixed()} ms`);
  const ending = await rig.within(2_000, 'the blocked client', blocked.client.ending());
  t.equal(ending, 'reset', `a stream cut short does not look whole: the client sees ${ending}`);
  const closed = { close: 'drain_timeout' };
  t.match(rig.headgate.flows(), [closed, closed]);
});

for (const [first, second] of [
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGINT'],
] as const) {
  t.test(`drain: ${second} after ${first} ends at once`, timeout, async (t) => {
    const rig = await Rig.start(t, { workers: 2 });
    const { client } = await rig.pair();
    rig.headgate.signal(first);
    await refused(rig);
    t.equal(rig.headgate.exited, undefined, 'it waits for its flow');
    rig.headgate.signal(second);
    await rig.within(5_000, 'the exit', rig.headgate.exit);
    await rig.within(5_000, "the client's end", client.ending());
  });
}

t.test('drain: a flow that is still connecting does not hang the exit', timeout, async (t) => {
  const blackhole = await Blackhole.open(t);
  const args = [
    'tcp',
    '127.0.0.1:0',
    blackhole.address,
    '--access-log',
    '--drain-timeout',
    '500ms',
  ];
  const headgate = await startHeadgate([...args, '--connect-timeout', '20s', '--workers', '1']);
  t.teardown(() => headgate.kill());
  const client = await Peer.connect(headgate.address);
  await until(2_000, 'the flow is there', () => headgate.openFiles().sockets > 1);
  await sleep(100);
  t.strictSame(await headgate.stop(2_000), cleanExit);
  await client.ending();
  client.close();
  t.match(headgate.flows(), [{ close: 'drain_timeout' }]);
});

t.test('drain: the address is free again at once', timeout, async (t) => {
  const listeners = ['127.0.0.1:0', '[::1]:0', `unix:${temporaryDirectory(t)}/again.sock`];
  for (let listen of [...listeners, `unix:@headgate-again-${process.pid}`]) {
    for (let round = 0; round < 3; round++) {
      const rig = await Rig.start(t, { handler: echo, listen });
      listen = rig.headgate.address;
      const client = await rig.connect();
      await client.send('x');
      await rig.within(10_000, 'the echo', client.receive(1));
      client.end();
      await rig.within(10_000, 'FIN', client.receiveEnd());
      await rig.finish(t);
    }
  }
});

t.test('drain: a failed bind ends with 1 and one clear line', timeout, async (t) => {
  const rig = await Rig.start(t, { handler: echo });
  const second = startHeadgate(['tcp', '203.0.113.1:1', rig.origin.address, '--workers', '1']);
  if (standin) t.comment('the stand-in dies with a stack trace');
  await t.rejects(second, { message: /EADDRNOTAVAIL|not available|cannot assign/i });
  await rig.finish(t);
});
