// The whole program's start: warm, or, where there is no loopback to warm up over, with a line that says so.
import t, { type Test } from 'tap';
import { within } from '../support/deadline.js';
import { testWith } from '../support/machine/capability.js';
import { missingNamespaces, Namespace } from '../support/machine/netns.js';
import { echo, Origin } from '../support/peers/origin.js';
import { Peer } from '../support/peers/peer.js';
import { startHeadgate } from '../support/programs/headgate.js';
import { expectCleanExit, temporaryDirectory } from '../support/programs/rig.js';

const timeout = { timeout: 20_000 };

/** Starts headgate, sees that it serves, and ends it. @returns what it said about warming up */
async function startAndEnd(t: Test, prefix: readonly string[] = []): Promise<object[]> {
  // A unix socket is reached from every namespace.
  const directory = temporaryDirectory(t);
  const origin = await Origin.listen(`unix:${directory}/origin.sock`, echo);
  t.teardown(() => origin.close());
  const words = ['tcp', `unix:${directory}/listen.sock`, origin.address, '--workers', '1'];
  const headgate = await startHeadgate(words, { prefix });
  t.teardown(() => headgate.kill());
  const client = await Peer.connect(headgate.address);
  await client.send('echo');
  const echoed = await within(10_000, 'the echo', client.receive(4), headgate.context);
  t.equal(`${echoed}`, 'echo');
  client.close();
  await expectCleanExit(t, headgate);
  return headgate.logs.filter(({ msg }) => `${msg}`.startsWith('warm-up'));
}

t.test('warm-up: nothing is said of one that went well', timeout, async (t) => {
  const said = await startAndEnd(t);
  // A machine that is busy with other tests may take longer than there is time for, and nothing else may go wrong.
  for (const line of said) t.match(line, { reason: /not answered in time/ });
  t.ok(said.length <= 1);
});

testWith(missingNamespaces(), 'warm-up: without loopback the log says so', timeout, async (t) => {
  const namespace = Namespace.create(t);
  namespace.run('ip', 'link', 'set', 'lo', 'down');
  t.match(await startAndEnd(t, namespace.prefix), [
    { level: 40, worker: 0, reason: /over loopback|EADDRNOTAVAIL/ },
  ]);
});
