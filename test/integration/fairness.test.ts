// Flows share a worker: bulk does not starve the others, and urgent bytes stop nobody.
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { ByteStream } from '../support/bytes.js';
import { sleep, within } from '../support/deadline.js';
import { Peer } from '../support/peers/peer.js';
import { sendUrgent } from '../support/peers/socket-calls.js';
import { startHeadgate } from '../support/programs/headgate.js';
import { Program } from '../support/programs/program.js';
import { Rig } from '../support/programs/rig.js';

const MiB = 1 << 20;
const transfer = fileURLToPath(new URL('../support/peers/transfer.js', import.meta.url));
const stream = new ByteStream(12);

/** Starts an origin in its own process, and answers where. */
async function startOrigin(t: Test): Promise<string> {
  const origin = Program.start(t, [process.execPath, transfer, 'serve', '127.0.0.1:0']);
  return (await origin.output(/^serving (\S+)$/m, 5_000))[1]!;
}

for (const verb of ['get', 'put'] as const) {
  const name = `fairness: bulk (${verb}) does not starve 100 small flows on the same worker`;
  t.test(name, { timeout: 60_000 }, async (t) => {
    // Origin and bulk client are processes of their own, so that the latencies are not those of this one.
    const args = ['tcp', '127.0.0.1:0', await startOrigin(t), '--workers', '1', '--access-log'];
    const headgate = await startHeadgate(args);
    t.teardown(() => headgate.kill());
    const echoes = await startEchoes(t, headgate.address);
    const bulk = Program.start(t, [
      ...[process.execPath, transfer, verb, headgate.address, String(256 * MiB), '1000'],
    ]);
    await sleep(300);
    const alone = headgate.cpuSeconds();
    const latenciesMs = await echoes(1_500);
    const busy = headgate.cpuSeconds() - alone;
    t.ok(busy > 0.15, `bulk is going on: ${busy.toFixed(2)} s of CPU`);
    latenciesMs.sort((one, other) => one - other);
    const at = (share: number) => latenciesMs[Math.floor(latenciesMs.length * share)]!;
    const shown = `${latenciesMs.length} exchanges, p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`;
    t.ok(at(0.99) < 100, shown);
    t.ok(latenciesMs.length >= 100 * 10, shown);
    await bulk.end('SIGKILL');
  });
}

/** 100 clients that exchange 10 bytes with the origin again and again, and answer how long each exchange took. */
async function startEchoes(
  t: Test,
  address: string,
): Promise<(durationMs: number) => Promise<number[]>> {
  const clients = await Promise.all(Array.from({ length: 100 }, () => Peer.connect(address)));
  t.teardown(() => {
    for (const client of clients) client.close();
  });
  const latenciesMs: number[] = [];
  const exchangeUntil = async (client: Peer, endMs: number) => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await client.send('0123456789');
      await client.receive(10);
      latenciesMs.push(performance.now() - startMs);
      await sleep(20);
    }
  };
  for (const client of clients) await client.send('echo'.padEnd(64));
  return async (durationMs) => {
    const endMs = performance.now() + durationMs;
    const exchanges = clients.map((client) => exchangeUntil(client, endMs));
    await within(durationMs + 10_000, 'the small exchanges', Promise.all(exchanges));
    return latenciesMs;
  };
}

/** Sends `before`, one urgent byte and `after`; what arrives is these, with or without the urgent byte between. */
async function exchangeUrgent(
  rig: Rig,
  [from, to]: readonly [Peer, Peer],
  [before, after]: readonly [number, number],
  pauseMs: number,
): Promise<void> {
  const total = before + after;
  const sending = async () => {
    await from.sendStream(stream, before);
    // Node may still hold bytes that belong in front.
    while (from.socket.writableLength > 0) await sleep(1);
    if (pauseMs > 0) await sleep(pauseMs);
    sendUrgent(from.socket, '!');
    if (pauseMs > 0) await sleep(pauseMs);
    await from.sendStream(stream, after, undefined, before);
    from.end();
  };
  const receiving = async () => {
    await to.receiveStream(stream, before);
    const rest: Buffer[] = [];
    for (let chunk = await to.read(); chunk !== undefined; chunk = await to.read())
      rest.push(chunk);
    const received = Buffer.concat(rest);
    const urgent = received.length > after && received[0] === 0x21 ? 1 : 0;
    stream.verify(received.subarray(urgent), before);
    if (received.length - urgent !== after) {
      throw new Error(`${before + received.length - urgent} of ${total} bytes arrive`);
    }
  };
  const what = `${before} bytes, an urgent one, ${after} bytes`;
  await rig.within(5_000, what, Promise.all([sending(), receiving()]));
}

for (const direction of ['up', 'down'] as const) {
  for (const [before, after] of [
    [3, 3],
    [0, 100],
    [100, 0],
    [8 * MiB, 100],
    [8 * MiB, 0],
    [8 * MiB, 8 * MiB],
  ] as const) {
    const name = `fairness: an urgent byte going ${direction} between ${before} and ${after} bytes`;
    t.test(name, { timeout: 30_000 }, async (t) => {
      const rig = await Rig.start(t);
      // Some lose the bytes behind only when FIN is there before they have looked: several tries without a pause.
      for (const pauseMs of [0, 0, 0, 0, 100]) {
        const { client, upstream } = await rig.pair();
        const ends =
          direction === 'up' ? ([client, upstream] as const) : ([upstream, client] as const);
        await exchangeUrgent(rig, ends, [before, after], pauseMs);
        ends[1].end();
        await rig.within(1_000, 'FIN', ends[0].receiveEnd());
      }
      const cpu = await rig.headgate.cpuSecondsDuring(200);
      t.ok(cpu < 0.1, `${cpu} s of CPU in 0.2 s afterwards`);
      await rig.headgate.flowsEnded(5);
      await rig.finish(t);
    });
  }
}
