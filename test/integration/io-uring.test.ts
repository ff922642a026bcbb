// Whether calls are made together, as the whole program has it: as it comes, switched off, and where the kernel says no.
import t, { type Test } from 'tap';
import { start } from '#src/index.js';
import { SyscallNumber } from '#src/splice/constants.js';
import { addressOf, connect, echoOrigin, says } from '#test/support/control/live-proxy.js';
import { missingIoUring, missingProgram, testWith } from '#test/support/machine/capability.js';
import { forbidding } from '#test/support/machine/forbidden.js';
import { echo } from '#test/support/peers/origin.js';
import { Rig } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };

/** Clients who all ask at once, again and again, until `isEnough`, or for so many rounds. */
async function askTogether(t: Test, address: string, rounds: number, isEnough: () => boolean) {
  const clients = Array.from({ length: 16 }, () => connect(t, address));
  for (let round = 0; round < rounds && !isEnough(); round++) {
    const answers = await Promise.all(clients.map((client) => says(client, `round ${round}`)));
    t.ok(answers.every((isRight) => isRight));
  }
  for (const client of clients) client.destroy();
}

async function startHere(t: Test, keys: string) {
  const origin = await echoOrigin(t);
  const headgate = await start(`${keys}
workers: 1
log: { level: silent }
listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["${origin.address}"] } }`);
  t.teardown(() => headgate.close());
  return headgate;
}

testWith(missingIoUring(), 'io_uring: many clients at once share calls', timeout, async (t) => {
  const headgate = await startHere(t, '');
  const { totals } = headgate.stats();
  t.equal(totals.batches_open, 1);
  await askTogether(t, addressOf(headgate, 'a'), 500, () => headgate.stats().totals.batches > 0);
  const { batches, batched_calls } = headgate.stats().totals;
  t.ok(batches > 0);
  t.ok(batched_calls >= batches);
  await headgate.close();
  t.equal(headgate.stats().totals.batches_open, 0);
});

t.test('io_uring: switched off, each call is made by itself', timeout, async (t) => {
  const headgate = await startHere(t, 'io_uring: false');
  await askTogether(t, addressOf(headgate, 'a'), 20, () => false);
  const { batches, batched_calls, batches_open } = headgate.stats().totals;
  t.strictSame([batches, batched_calls, batches_open], [0, 0, 0]);
});

testWith(
  missingProgram(['python3']),
  'io_uring: where a filter forbids it, each worker says so, and serves',
  timeout,
  async (t) => {
    const prefix = forbidding(SyscallNumber.io_uring_setup);
    const { headgate } = await Rig.start(t, { handler: echo, workers: 2, prefix });
    await askTogether(t, headgate.address, 5, () => false);
    await headgate.stop();
    const lines = headgate.logs.filter(({ msg }) => msg.startsWith('io_uring'));
    t.match(
      lines.sort((one, other) => Number(one.worker) - Number(other.worker)),
      [0, 1].map((worker) => ({ level: 30, worker, reason: 'EPERM' })),
    );
    t.equal(lines.length, 2, 'once each');
  },
);
