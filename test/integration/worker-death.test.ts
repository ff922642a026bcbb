// The program itself, as it is installed, survives the death of its workers.
import { writeFileSync } from 'node:fs';
import t from 'tap';
import { ByteStream } from '../support/bytes.js';
import { until, within } from '../support/deadline.js';
import { echo, Origin } from '../support/peers/origin.js';
import { Peer } from '../support/peers/peer.js';
import { standin, startHeadgate } from '../support/programs/headgate.js';
import { expectNoLeak } from '../support/programs/leak.js';
import { expectCleanExit, temporaryDirectory } from '../support/programs/rig.js';

const options = { skip: standin && 'the stand-in has no workers' };

t.test('worker death: the program goes on, and exits as ever', options, async (t) => {
  const origin = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => origin.close());
  const order = `${temporaryDirectory(t)}/order`;
  const accident = new URL('../support/faults/sudden-death.js', import.meta.url).href;
  const headgate = await startHeadgate(
    ['tcp', '127.0.0.1:0', origin.address, '--workers', '2', '--access-log'],
    { prefix: ['env', `HEADGATE_TEST_DEATH=${order}`, `NODE_OPTIONS=--import=${accident}`] },
  );
  t.teardown(() => headgate.kill());
  const before = headgate.openFiles();
  const said = (msg: RegExp) => headgate.logs.filter((line) => msg.test(line.msg)).length;

  for (let death = 1; death <= 3; death++) {
    const peers = await Promise.all(
      Array.from({ length: 16 }, () => Peer.connect(headgate.address)),
    );
    const stream = new ByteStream(death);
    const length = 64 * 1024;
    const moves = peers.map(async (peer) => {
      await Promise.all([peer.sendStream(stream, length), peer.receiveStream(stream, length)]);
    });
    await Promise.all(moves);
    writeFileSync(order, '');
    // Any event will do: the worker that has it reads the clock.
    const survives = peers.map(async (peer) => {
      await peer.send('x');
      return (await peer.read().catch(() => undefined)) !== undefined;
    });
    await until(
      10_000,
      'a worker dies',
      () => said(/^worker \d died$/) === death,
      headgate.context,
    );
    const survivors = (await within(10_000, 'all hear', Promise.all(survives))).filter(Boolean);
    t.ok(survivors.length > 0 && survivors.length < 16, `${survivors.length} of 16 survive`);
    await until(
      10_000,
      'it is replaced',
      () => said(/^worker \d replaced$/) === death,
      headgate.context,
    );
    for (const peer of peers) peer.close();
  }
  const died = headgate.logs.filter(({ close }) => close === 'worker_died');
  t.ok(died.length > 0, `${died.length} access lines of flows that were lost`);
  await expectNoLeak(headgate, before, { workers: 2 });
  await expectCleanExit(t, headgate);
});
