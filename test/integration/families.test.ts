// IPv4, IPv6, unix sockets with a path and abstract ones: each as listener in front of each as upstream.
import t from 'tap';
import { ByteStream } from '../support/bytes.js';
import { passStream } from '../support/peers/peer.js';
import { Rig, temporaryDirectory } from '../support/programs/rig.js';

const MiB = 1 << 20;
const up = new ByteStream(10);
const down = new ByteStream(11);

const directory = temporaryDirectory(t);
const families: [string, (role: string) => string, RegExp][] = [
  ['IPv4', () => '127.0.0.1:0', /^127\.0\.0\.1:[1-9]\d*$/],
  ['IPv6', () => '[::1]:0', /^\[::1\]:[1-9]\d*$/],
  ['a unix path', (role) => `unix:${directory}/${role}.sock`, /^unix:\/.*\.sock$/],
  ['an abstract name', (role) => `unix:@headgate-${process.pid}-${role}`, /^unix:@headgate-/],
];

let count = 0;
for (const [listenName, listenAt, printed] of families) {
  for (const [upstreamName, upstreamAt] of families) {
    const name = `families: from ${listenName} to ${upstreamName}`;
    t.test(name, { timeout: 20_000 }, async (t) => {
      count++;
      const listen = listenAt(`listen-${count}`);
      const originAddress = upstreamAt(`upstream-${count}`);
      const rig = await Rig.start(t, { listen, originAddress, workers: (count % 2) + 1 });
      t.match(rig.headgate.address, printed, `prints ${rig.headgate.address}`);
      for (const length of [0, 10, 4 * MiB]) {
        const { client, upstream } = await rig.pair();
        const uploading = passStream(client, upstream, up, length);
        await rig.within(5_000, `${length} bytes up`, uploading);
        const downloading = passStream(upstream, client, down, length);
        await rig.within(5_000, `${length} bytes down`, downloading);
      }
      await simultaneous(rig);
      for (const flow of await rig.headgate.flowsEnded(4)) t.match(flow, { close: 'done' });
      await rig.finish(t);
    });
  }
}

/** Bulk both ways at once with slow readers: unix sockets block and wake by other rules than TCP. */
async function simultaneous(rig: Rig): Promise<void> {
  const length = 6 * MiB;
  const pace = { everyBytes: 512 * 1024, pauseMs: 5 };
  const { client, upstream } = await rig.pair();
  const transfers = Promise.all([
    passStream(client, upstream, up, length, pace),
    passStream(upstream, client, down, length, pace),
  ]);
  await rig.within(10_000, 'both directions at once', transfers);
}

t.test('families: a client of a unix socket that goes away', { timeout: 20_000 }, async (t) => {
  const rig = await Rig.start(t, {
    listen: `unix:${directory}/away.sock`,
    originAddress: `unix:${directory}/origin.sock`,
  });
  for (const closing of ['client', 'upstream'] as const) {
    const pair = await rig.pair();
    const [gone, other] =
      closing === 'client' ? [pair.client, pair.upstream] : [pair.upstream, pair.client];
    other.sendStream(up, 256 * MiB).catch(() => undefined);
    await rig.within(5_000, 'the beginning', gone.receiveStream(up, MiB));
    gone.close();
    await rig.within(2_000, 'the end', other.ending());
    other.close();
  }
  await rig.headgate.flowsEnded(2);
  await rig.finish(t);
});

t.test('families: an abstract name of full length, 107 bytes', { timeout: 20_000 }, async (t) => {
  const listen = `unix:@${`headgate-${process.pid}-full-`.padEnd(107, '.')}`;
  const rig = await Rig.start(t, { listen });
  const { client, upstream } = await rig.pair();
  client.end();
  await rig.within(10_000, 'FIN', upstream.receiveEnd());
  upstream.end();
  await rig.within(10_000, 'FIN back', client.receiveEnd());
  await rig.finish(t);
});
