// RST comes out as RST, not as FIN, whenever it comes: the peer must not take an aborted stream for a whole one.
import t, { type Test } from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep, until } from '../support/deadline.js';
import { source } from '../support/peers/origin.js';
import type { Peer } from '../support/peers/peer.js';
import { Rig } from '../support/programs/rig.js';

const MiB = 1 << 20;
const stream = new ByteStream(5);
const timeout = { timeout: 20_000 };

/** A flow between `resetting`, the side whose RST is under test, and `other`, who must see it. */
interface Flow {
  readonly rig: Rig;
  readonly resetting: Peer;
  readonly other: Peer;
}

/** Runs `act` for each side; afterwards the flow has to be over, logged under the side's name. */
function testBothSides(phase: string, act: (flow: Flow, t: Test) => Promise<void>): void {
  for (const side of ['client', 'upstream'] as const) {
    t.test(`reset: by the ${side} ${phase}`, timeout, async (t) => {
      const rig = await Rig.start(t);
      const { client, upstream } = await rig.pair();
      const [resetting, other] = side === 'client' ? [client, upstream] : [upstream, client];
      await act({ rig, resetting, other }, t);
      t.match(await rig.headgate.flowsEnded(1), [{ close: `${side}_reset` }]);
      other.close();
      await rig.finish(t);
    });
  }
}

async function expectReset({ rig, other }: Flow, t: Test): Promise<void> {
  const ending = await rig.within(2_000, 'the end of the other side', other.ending());
  t.equal(ending, 'reset', `the other side sees ${ending}`);
}

/** Writes until the connection is known to be gone: a side that has seen FIN learns of RST by writing only. */
async function expectWritesFail({ rig, other }: Flow): Promise<void> {
  const writing = async () => {
    while (other.failure === undefined) {
      await other.send('x').catch(() => undefined);
      await sleep(10);
    }
  };
  await rig.within(2_000, 'writes of the other side fail', writing());
}

/** Sends until nothing more is taken for a while; resolves then, sending goes on until it fails. */
async function fillUp(peer: Peer): Promise<void> {
  peer.sendStream(stream, 512 * MiB).catch(() => undefined);
  let written = -1;
  while (written !== peer.socket.bytesWritten - peer.socket.writableLength) {
    written = peer.socket.bytesWritten - peer.socket.writableLength;
    await sleep(150);
  }
}

testBothSides('before any byte', async (flow, t) => {
  // Until the proxy knows that its own connection stands.
  await sleep(50);
  flow.resetting.reset();
  await expectReset(flow, t);
});

testBothSides('after an exchange', async (flow, t) => {
  const { rig, resetting, other } = flow;
  await resetting.send('question');
  await rig.within(10_000, 'the question', other.receive(8));
  await other.send('answer');
  await rig.within(10_000, 'the answer', resetting.receive(6));
  await sleep(100);
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides('in the middle of transfers both ways', async (flow, t) => {
  const { rig, resetting, other } = flow;
  resetting.sendStream(stream, 512 * MiB).catch(() => undefined);
  other.sendStream(stream, 512 * MiB).catch(() => undefined);
  const half = Promise.all([
    resetting.receiveStream(stream, 8 * MiB),
    other.receiveStream(stream, 8 * MiB),
  ]);
  await rig.within(5_000, 'the first half', half);
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides('while it sends', async (flow, t) => {
  const { rig, resetting, other } = flow;
  resetting.sendStream(stream, 512 * MiB).catch(() => undefined);
  await rig.within(5_000, 'the first half', other.receiveStream(stream, 8 * MiB));
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides('after its own FIN', async (flow) => {
  const { rig, resetting, other } = flow;
  resetting.end();
  await rig.within(10_000, 'FIN', other.receiveEnd());
  resetting.reset();
  await rig.headgate.flowsEnded(1);
  await expectWritesFail(flow);
});

testBothSides('after its own FIN, while the other sends', async (flow) => {
  const { rig, resetting, other } = flow;
  resetting.end();
  await rig.within(10_000, 'FIN', other.receiveEnd());
  other.sendStream(stream, 512 * MiB).catch(() => undefined);
  await rig.within(5_000, 'the first half', resetting.receiveStream(stream, 8 * MiB));
  resetting.reset();
  await expectWritesFail(flow);
});

testBothSides("after the other's FIN", async (flow, t) => {
  const { rig, resetting, other } = flow;
  other.end();
  await rig.within(10_000, 'FIN', resetting.receiveEnd());
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides("after the other's FIN, while it sends", async (flow, t) => {
  const { rig, resetting, other } = flow;
  other.end();
  await rig.within(10_000, 'FIN', resetting.receiveEnd());
  resetting.sendStream(stream, 512 * MiB).catch(() => undefined);
  await rig.within(5_000, 'the first half', other.receiveStream(stream, 8 * MiB));
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides('while the other does not read', async (flow, t) => {
  const { rig, resetting } = flow;
  await fillUp(resetting);
  const cpu = await rig.headgate.cpuSecondsDuring(500);
  t.ok(cpu < 0.1, `${cpu} s of CPU in 0.5 s blocked`);
  resetting.reset();
  await rig.headgate.flowsEnded(1);
  await expectReset(flow, t);
});

testBothSides('while it does not read itself', async (flow, t) => {
  const { rig, resetting, other } = flow;
  await fillUp(other);
  const cpu = await rig.headgate.cpuSecondsDuring(500);
  t.ok(cpu < 0.1, `${cpu} s of CPU in 0.5 s blocked`);
  resetting.reset();
  await expectReset(flow, t);
});

testBothSides('while neither reads', async (flow, t) => {
  const { rig, resetting, other } = flow;
  await Promise.all([fillUp(other), fillUp(resetting)]);
  const cpu = await rig.headgate.cpuSecondsDuring(500);
  t.ok(cpu < 0.1, `${cpu} s of CPU in 0.5 s blocked`);
  resetting.reset();
  await rig.headgate.flowsEnded(1);
  await expectReset(flow, t);
});

t.test('reset: a client that goes away ends the download', timeout, async (t) => {
  const rig = await Rig.start(t);
  const { client, upstream } = await rig.pair();
  upstream.sendStream(stream, 512 * MiB).catch(() => undefined);
  await rig.within(5_000, 'the beginning', client.receiveStream(stream, 4 * MiB));
  client.close();
  t.equal(await rig.within(2_000, 'the end', upstream.ending()), 'reset');
  t.match(await rig.headgate.flowsEnded(1), [{ close: 'client_reset' }]);
  await rig.finish(t);
});

t.test('reset: bytes in the pipe of an aborted flow reach no other flow', timeout, async (t) => {
  const length = 4 * MiB;
  let connections = 0;
  // Odd connections are never finished; even ones have to be exact.
  const rig = await Rig.start(t, {
    handler: async (peer) => {
      const seed = connections++;
      const serving = source(new ByteStream(seed), seed % 2 === 0 ? length : 512 * MiB)(peer);
      if (seed % 2 === 0) await serving;
      else serving.catch(() => undefined);
    },
  });
  for (let seed = 0; seed < 60; seed++) {
    const client = await rig.connect();
    await until(2_000, 'the origin is connected', () => connections === seed + 1);
    const receiving = client.receiveStream(new ByteStream(seed), seed % 2 === 0 ? length : MiB);
    await rig.within(5_000, `the download of client ${seed}`, receiving);
    if (seed % 2 === 0) {
      await rig.within(10_000, 'FIN', client.receiveEnd());
      client.end();
    } else {
      // The pipe fills while nothing is read; then the connection is gone.
      await sleep(20);
      client.reset();
    }
  }
  await rig.headgate.flowsEnded(60);
  await rig.finish(t);
});
