// Every byte arrives, once and in order: all sizes, both directions, at every speed.
import t from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep } from '../support/deadline.js';
import { hardFileLimit, missingFiles, testWith } from '../support/machine/capability.js';
import { echo, sink, source } from '../support/peers/origin.js';
import { type Peer, passStream } from '../support/peers/peer.js';
import { standin } from '../support/programs/headgate.js';
import { Rig } from '../support/programs/rig.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const GB = 1_000_000_000;
const up = new ByteStream(1);
const down = new ByteStream(2);

const sizes: [string, number][] = [
  ['1 B', 1],
  ['100 B', 100],
  ['4 KiB', 4 * KiB],
  ['64 KiB - 1', 64 * KiB - 1],
  ['64 KiB', 64 * KiB],
  ['64 KiB + 1', 64 * KiB + 1],
  ['1 MiB', MiB],
  ['64 MiB', 64 * MiB],
  ['1 GB', GB],
];

/** Sends and takes back `length` bytes of `stream`, FIN included. */
async function echoed(client: Peer, stream: ByteStream, length: number): Promise<void> {
  const sending = client.sendStream(stream, length).then(() => client.end());
  await Promise.all([sending, client.receiveStream(stream, length)]);
  // `receiveEnd` would tell FIN from RST, but thousands of clients cannot all ask the kernel for that.
  if ((await client.read()) !== undefined) throw new Error('bytes where FIN was expected');
}

for (const [name, length] of sizes) {
  t.test(`bytes: a download of ${name} is exact`, { timeout: 60_000 }, async (t) => {
    const rig = await Rig.start(t, { handler: source(down, length) });
    const client = await rig.connect();
    await rig.within(50_000, 'the download', client.receiveStream(down, length));
    await rig.within(10_000, 'the end of the download', client.receiveEnd());
    client.end();
    const [flow] = await rig.headgate.flowsEnded(1);
    t.match(flow, { bytes_up: 0, bytes_down: length, path_up: 'none', close: 'done' });
    if (length < 4 * KiB) t.equal(flow!.path_down, 'copy', 'a few bytes are copied');
    if (length >= 64 * MiB) t.match(flow!.path_down, /^(splice|mixed)$/, 'bulk is spliced');
    await rig.finish(t);
  });

  t.test(`bytes: an upload of ${name} is exact`, { timeout: 60_000 }, async (t) => {
    const rig = await Rig.start(t, { handler: sink(up, length) });
    const client = await rig.connect();
    const sending = client.sendStream(up, length).then(() => client.end());
    await rig.within(50_000, 'the upload', sending);
    const answer = await rig.within(5_000, 'the answer to the upload', client.receive(2));
    t.equal(answer.toString(), 'ok');
    await rig.within(10_000, 'the end of the answer', client.receiveEnd());
    const [flow] = await rig.headgate.flowsEnded(1);
    t.match(flow, { bytes_up: length, bytes_down: 2, path_down: 'copy', close: 'done' });
    if (length >= 64 * MiB) t.match(flow!.path_up, /^(splice|mixed)$/, 'bulk is spliced');
    await rig.finish(t);
  });
}

const echoSizes: [string, number][] = [
  ...sizes.filter(([, length]) => length < 64 * MiB),
  ['256 MiB', 256 * MiB],
];

for (const [name, length] of echoSizes) {
  t.test(`bytes: an echo of ${name} is exact`, { timeout: 60_000 }, async (t) => {
    const rig = await Rig.start(t, { handler: echo });
    const client = await rig.connect();
    await rig.within(50_000, 'the echo', echoed(client, up, length));
    const [flow] = await rig.headgate.flowsEnded(1);
    t.match(flow, { bytes_up: length, bytes_down: length, close: 'done' });
    await rig.finish(t);
  });
}

t.test('bytes: different streams in both directions at once', { timeout: 60_000 }, async (t) => {
  const length = 128 * MiB;
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  const transfers = Promise.all([
    passStream(client, upstream, up, length),
    passStream(upstream, client, down, length),
  ]);
  await rig.within(50_000, 'both directions', transfers);
  const [flow] = await rig.headgate.flowsEnded(1);
  t.match(flow, { bytes_up: length, bytes_down: length, close: 'done' });
  await rig.finish(t);
});

t.test('bytes: 10,000 small writes, each sent at once', { timeout: 60_000 }, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  const lengths = Array.from({ length: 10_000 }, (_, index) => 1 + ((index * 61) % 100));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const sending = async (peer: Peer, stream: ByteStream) => {
    let sent = 0;
    for (const [index, length] of lengths.entries()) {
      await peer.send(stream.slice(sent, length));
      sent += length;
      if (index % 50 === 0) await sleep(0);
    }
    peer.end();
  };
  const transfers = Promise.all([
    sending(client, up),
    sending(upstream, down),
    upstream.receiveStream(up, total).then(() => upstream.receiveEnd()),
    client.receiveStream(down, total).then(() => client.receiveEnd()),
  ]);
  await rig.within(30_000, 'the small writes', transfers);
  const [flow] = await rig.headgate.flowsEnded(1);
  t.match(flow, { bytes_up: total, bytes_down: total, close: 'done' });
  await rig.finish(t);
});

t.test(
  'bytes: sizes that alternate between bulk and single bytes',
  { timeout: 60_000 },
  async (t) => {
    const rig = await Rig.start(t, { handler: echo });
    const client = await rig.connect();
    let position = 0;
    for (let round = 0; round < 40; round++) {
      for (const length of [1, 2 * MiB + round, 100, 300 * KiB - round, 3]) {
        const exchange = Promise.all([
          client.sendStream(up, length, undefined, position),
          client.receiveStream(up, length, undefined, position),
        ]);
        await rig.within(5_000, `${length} bytes of round ${round}`, exchange);
        position += length;
      }
    }
    client.end();
    await rig.within(10_000, 'the end', client.receiveEnd());
    t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: position, bytes_down: position }]);
    await rig.finish(t);
  },
);

const slow = { everyBytes: 256 * KiB, pauseMs: 10 };

t.test('bytes: a slow reader gets everything', { timeout: 60_000 }, async (t) => {
  const length = 48 * MiB;
  const rig = await Rig.start(t, { handler: source(down, length) });
  const client = await rig.connect();
  await rig.within(40_000, 'the slow download', client.receiveStream(down, length, slow));
  await rig.within(10_000, 'the end', client.receiveEnd());
  client.end();
  t.match(await rig.headgate.flowsEnded(1), [{ bytes_down: length, close: 'done' }]);
  await rig.finish(t);
});

t.test('bytes: a slow writer is served at its speed', { timeout: 60_000 }, async (t) => {
  const length = 16 * MiB;
  const rig = await Rig.start(t, { handler: sink(up, length) });
  const client = await rig.connect();
  const pace = { everyBytes: 48 * KiB, pauseMs: 2 };
  const sending = client.sendStream(up, length, pace).then(() => client.end());
  await rig.within(40_000, 'the slow upload', sending);
  const answer = await rig.within(5_000, 'the answer', client.receive(2));
  t.equal(answer.toString(), 'ok');
  t.match(await rig.headgate.flowsEnded(1), [{ bytes_up: length, close: 'done' }]);
  await rig.finish(t);
});

t.test('bytes: a reader that stops for a second costs nothing and goes on', async (t) => {
  const length = 96 * MiB;
  for (const direction of ['down', 'up'] as const) {
    const rig = await Rig.start(t);
    const { client, upstream } = await rig.pair();
    const [from, to] = direction === 'down' ? [upstream, client] : [client, upstream];
    const sending = from.sendStream(down, length).then(() => from.end());
    const receiving = async () => {
      await to.receiveStream(down, 8 * MiB);
      await sleep(300);
      const cpu = await rig.headgate.cpuSecondsDuring(1_000);
      t.ok(cpu < 0.2, `${direction}: ${cpu} s of CPU while the reader stops`);
      await to.receiveStream(down, length - 8 * MiB, undefined, 8 * MiB);
      await to.receiveEnd();
      to.end();
    };
    await rig.within(20_000, `${direction}: the transfer`, Promise.all([sending, receiving()]));
    await rig.within(10_000, 'the end', from.receiveEnd());
    await rig.finish(t);
  }
});

t.test('bytes: one direction that is blocked does not hold up the other', async (t) => {
  const length = 48 * MiB;
  for (const blocked of ['up', 'down'] as const) {
    const rig = await Rig.start(t);
    const pair = await rig.pair();
    const [deaf, speaking] =
      blocked === 'up' ? [pair.upstream, pair.client] : [pair.client, pair.upstream];
    const sendingBlocked = speaking.sendStream(up, length).then(() => speaking.end());
    await sleep(300);
    const exchange = async () => {
      await Promise.all([deaf.sendStream(down, length), speaking.receiveStream(down, length)]);
      await Promise.all([deaf.send('x'), speaking.receive(1)]);
    };
    await rig.within(10_000, `the other direction, ${blocked} being blocked`, exchange());
    const receivingBlocked = deaf.receiveStream(up, length).then(() => deaf.receiveEnd());
    await rig.within(
      10_000,
      `${blocked}, unblocked`,
      Promise.all([sendingBlocked, receivingBlocked]),
    );
    deaf.end();
    await rig.within(10_000, 'FIN', speaking.receiveEnd());
    await rig.finish(t);
  }
});

const clients = 2_000;
const concurrent = 'bytes: 2,000 clients at the same time';
testWith(missingFiles(3 * clients), concurrent, { timeout: 60_000 }, async (t) => {
  const length = 10 * KiB;
  const rig = await Rig.start(t, { handler: echo, filesMax: hardFileLimit() });
  const residentBytes = rig.headgate.residentBytes();
  const connected: Peer[] = [];
  for (let index = 0; index < clients; index += 100) {
    const batch = Array.from({ length: 100 }, () => rig.connect());
    connected.push(...(await Promise.all(batch)));
  }
  const grown = (rig.headgate.residentBytes() - residentBytes) / clients / KiB;
  t.ok(grown < 32, `${grown.toFixed(1)} KiB of memory for a quiet flow`);
  const exchanges = connected.map((client, index) => echoed(client, new ByteStream(index), length));
  await rig.within(30_000, 'the echoes', Promise.all(exchanges));
  const flows = await rig.headgate.flowsEnded(clients);
  t.equal(flows.filter((flow) => flow.close !== 'done').length, 0, 'every flow ends in order');
  t.equal(
    flows.reduce((sum, flow) => sum + flow.bytes_up, 0),
    clients * length,
  );
  await rig.finish(t);
});

t.test(
  'bytes: 1,000 flows one after the other leave nothing behind',
  { timeout: 60_000 },
  async (t) => {
    const rig = await Rig.start(t, { handler: echo });
    for (let index = 0; index < 1_000; index += 10) {
      const lengths = Array.from({ length: 10 }, (_, inner) =>
        inner === 0 ? 400 * KiB : 1 + index,
      );
      const exchanges = lengths.map(async (length, inner) => {
        await echoed(await rig.connect(), new ByteStream(index + inner), length);
      });
      await rig.within(10_000, `flows from ${index}`, Promise.all(exchanges));
    }
    await rig.headgate.flowsEnded(1_000);
    await rig.finish(t);
  },
);

t.test('bytes: with two workers', { timeout: 60_000 }, async (t) => {
  const rig = await Rig.start(t, { handler: echo, workers: 2 });
  if (!standin) t.ok(rig.headgate.threadCount() > 2, `${rig.headgate.threadCount()} threads`);
  const exchanges = Array.from({ length: 20 }, async (_, index) => {
    await echoed(await rig.connect(), new ByteStream(index), 2 * MiB + index);
  });
  await rig.within(30_000, 'the echoes', Promise.all(exchanges));
  await rig.headgate.flowsEnded(20);
  await rig.finish(t);
});
