// Each direction ends on its own: FIN is passed on behind the last byte, at once, and the other direction goes on.
import t from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep } from '../support/deadline.js';
import { passStream } from '../support/peers/peer.js';
import { type Pair, Rig } from '../support/programs/rig.js';

const MiB = 1 << 20;
const up = new ByteStream(3);
const down = new ByteStream(4);
const timeout = { timeout: 30_000 };

t.test('half-close: the client ends first and still gets the answer', timeout, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  await client.send('request');
  client.end();
  t.equal((await rig.within(10_000, 'the request', upstream.receive(7))).toString(), 'request');
  await rig.within(10_000, "the client's FIN", upstream.receiveEnd());
  await sleep(300);
  await upstream.send('answer');
  t.equal((await rig.within(10_000, 'the answer', client.receive(6))).toString(), 'answer');
  upstream.end();
  await rig.within(10_000, "the server's FIN", client.receiveEnd());
  t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: 7, bytes_down: 6, close: 'done' }]);
  await rig.finish(t);
});

t.test('half-close: the server ends first and still gets the request', timeout, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  await upstream.send('greeting');
  upstream.end();
  t.equal((await rig.within(10_000, 'the greeting', client.receive(8))).toString(), 'greeting');
  await rig.within(10_000, "the server's FIN", client.receiveEnd());
  await sleep(300);
  const sending = passStream(client, upstream, up, 16 * MiB);
  await rig.within(10_000, 'the upload', sending);
  t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: 16 * MiB, bytes_down: 8, close: 'done' }]);
  await rig.finish(t);
});

t.test('half-close: both end at the same moment', timeout, async (t) => {
  for (const length of [0, 1, 100_000, 4 * MiB]) {
    const rig = await Rig.start(t);
    const { client, upstream } = await rig.pair();
    const transfers = Promise.all([
      passStream(client, upstream, up, length),
      passStream(upstream, client, down, length),
    ]);
    await rig.within(5_000, `${length} bytes each way and FIN`, transfers);
    t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: length, bytes_down: length }]);
    await rig.finish(t);
  }
});

t.test('half-close: a connection without any byte ends in order', timeout, async (t) => {
  const rig = await Rig.start(t);
  for (const first of ['client', 'upstream'] as const) {
    const pair = await rig.pair();
    const [one, other] =
      first === 'client' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
    one.end();
    await rig.within(10_000, 'the first FIN', other.receiveEnd());
    await sleep(100);
    other.end();
    await rig.within(10_000, 'the second FIN', one.receiveEnd());
  }
  const flow = { bytes_up: 0, bytes_down: 0, path_up: 'none', path_down: 'none', close: 'done' };
  t.match(await rig.headgate.flowsEnded(2), [flow, flow]);
  await rig.finish(t);
});

for (const ended of ['client', 'upstream'] as const) {
  const speaker = ended === 'client' ? 'server' : 'client';
  t.test(`half-close: the ${speaker} goes on for 2 s after the other's FIN`, timeout, async (t) => {
    const rig = await Rig.start(t);
    const pair = await rig.pair();
    const [quiet, speaking] =
      ended === 'client' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
    quiet.end();
    await rig.within(10_000, 'the first FIN', speaking.receiveEnd());
    const before = rig.headgate.cpuSeconds();
    for (let tick = 0; tick < 20; tick++) {
      await speaking.sendStream(up, 1000, undefined, tick * 1000);
      const arrival = quiet.receiveStream(up, 1000, undefined, tick * 1000);
      await rig.within(10_000, `tick ${tick}`, arrival);
      await sleep(100);
    }
    const cpu = rig.headgate.cpuSeconds() - before;
    t.ok(cpu < 0.3, `${cpu} s of CPU in 2 s half closed`);
    speaking.end();
    await rig.within(10_000, 'the second FIN', quiet.receiveEnd());
    t.match(await rig.headgate.flowsEnded(1), [{ close: 'done' }]);
    await rig.finish(t);
  });
}

for (const direction of ['down', 'up'] as const) {
  for (const length of [1, 200_000, 24 * MiB]) {
    const name = `half-close: FIN behind ${length} bytes going ${direction} to a reader that sleeps`;
    t.test(name, timeout, async (t) => {
      const rig = await Rig.start(t);
      const pair = await rig.pair();
      const [from, to] =
        direction === 'down' ? [pair.upstream, pair.client] : [pair.client, pair.upstream];
      const sending = from.sendStream(down, length).then(() => from.end());
      await sleep(700);
      const pace = { everyBytes: 512 * 1024, pauseMs: 5 };
      await rig.within(15_000, 'every byte', to.receiveStream(down, length, pace));
      await rig.within(10_000, 'FIN', to.receiveEnd());
      await sending;
      to.end();
      await rig.within(10_000, 'FIN back', from.receiveEnd());
      const [flow] = await rig.headgate.flowsEnded(1);
      t.match(flow, { [`bytes_${direction}`]: length, close: 'done' });
      await rig.finish(t);
    });
  }
}

t.test('half-close: both directions behind slow readers at once', timeout, async (t) => {
  const length = 12 * MiB;
  const pace = { everyBytes: 256 * 1024, pauseMs: 10 };
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  const transfers = Promise.all([
    passStream(client, upstream, up, length, pace),
    passStream(upstream, client, down, length, pace),
  ]);
  await rig.within(15_000, 'both directions', transfers);
  t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: length, bytes_down: length }]);
  await rig.finish(t);
});

for (const pauseMs of [0, 1, 50, 500]) {
  const name = `half-close: FIN ${pauseMs} ms behind a spliced message is noticed at once`;
  t.test(name, timeout, async (t) => {
    const rig = await Rig.start(t);
    const { client, upstream } = await rig.pair();
    for (const [from, to] of [
      [upstream, client],
      [client, upstream],
    ] as const) {
      const sending = async () => {
        await from.sendStream(up, 16 * MiB);
        if (pauseMs > 0) await sleep(pauseMs);
        from.end();
      };
      const receiving = rig.within(5_000, 'the message', to.receiveStream(up, 16 * MiB));
      await Promise.all([sending(), receiving]);
      await rig.within(10_000, 'FIN', to.receiveEnd());
    }
    const [flow] = await rig.headgate.flowsEnded(1);
    t.match(flow, { bytes_up: 16 * MiB, bytes_down: 16 * MiB, close: 'done' });
    await rig.finish(t);
  });
}

t.test('half-close: 200 flows in every order', timeout, async (t) => {
  const rig = await Rig.start(t, { workers: 2 });
  const exchange = async ({ client, upstream }: Pair, index: number) => {
    const length = 1 + index * 1777;
    const [first, second] = index % 2 === 0 ? [client, upstream] : [upstream, client];
    const firstHalf = first.sendStream(up, length).then(() => first.end());
    await Promise.all([second.receiveStream(up, length), firstHalf]);
    await second.receiveEnd();
    if (index % 3 === 0) await sleep(index);
    const secondHalf = second.sendStream(down, length).then(() => second.end());
    await Promise.all([first.receiveStream(down, length), secondHalf]);
    await first.receiveEnd();
  };
  for (let index = 0; index < 200; index += 20) {
    const batch: Promise<void>[] = [];
    // Pairs are made one at a time: only so is it known who belongs to whom. Their exchanges overlap.
    for (let inner = 0; inner < 20; inner++) batch.push(exchange(await rig.pair(), index + inner));
    await rig.within(10_000, `flows from ${index}`, Promise.all(batch));
  }
  const flows = await rig.headgate.flowsEnded(200);
  t.equal(flows.filter((flow) => flow.close === 'done').length, 200, 'every flow ends in order');
  await rig.finish(t);
});
