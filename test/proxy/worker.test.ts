import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { ToWorker } from '#src/proxy/index.js';
import { FaultPlan } from '#test/support/faults/fault-plan.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { DataWorker } from '#test/support/worker/data-worker.js';
import { ExchangeOrigin, exchange } from '#test/support/worker/exchange.js';

async function until(isSo: () => boolean, timeoutMs = 3000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!isSo()) {
    if (Date.now() > deadline) throw new Error(`not so: ${isSo}`);
    await sleep(1);
  }
}

/** A test with a worker of its own, which ends by asserting that nothing was left behind. */
function workerTest(
  name: string,
  options: Partial<ConstructorParameters<typeof DataWorker>[0]>,
  body: (t: Test, worker: DataWorker, origin: ExchangeOrigin) => Promise<void>,
): void {
  t.test(name, async (t) => {
    const origin = await ExchangeOrigin.start();
    const before = descriptors();
    const worker = new DataWorker({ endpoints: [origin.address], ...options });
    await worker.ready;
    await body(t, worker, origin);
    t.equal(await worker.gone, 0, 'the thread ended by itself');
    t.equal(worker.count('flows_active'), 0);
    await until(() => JSON.stringify(descriptors()) === JSON.stringify(before)).catch(() => {});
    t.same(descriptors(), before, 'no descriptor is left open');
    await origin.close();
  });
}

t.before(async () => {
  // Node's own machinery for threads opens its descriptors with the first one.
  const first = new DataWorker({ endpoints: [{ family: 'unix', path: '@nobody' }] });
  await first.stop();
});

workerTest('worker: serves, then stops when it is told to', {}, async (t, worker) => {
  const outcome = await exchange(1, worker.address, 'bulk', 5000);
  t.equal(outcome.isWhole, true);
  t.equal(worker.closed('done'), 1);
  worker.send({ type: 'stop' });
  await worker.gone;
  t.same(worker.said, ['ready', 'ended']);
});

workerTest('worker: stopping resets the flows that are left', {}, async (t, worker, origin) => {
  const flow = exchange(1, worker.address, 'bulk', 5000);
  const idle = exchange(2, worker.address, 'small', 5000);
  await until(() => worker.count('flows_active') === 2 || worker.closed('done') > 0);
  worker.send({ type: 'stop' });
  await worker.gone;
  for (const { how, isWhole } of [await flow, await idle]) {
    t.ok(how === 'error' || isWhole, 'torn is told from whole');
  }
  await until(() => origin.open === 0);
});

workerTest('worker: draining accepts what is queued, and lets flows end', {}, async (t, worker) => {
  const flows = Array.from({ length: 8 }, (_, index) =>
    exchange(index + 1, worker.address, 'bulk', 5000),
  );
  await until(() => worker.count('flows_active') > 0);
  worker.send({ type: 'drain', timeoutMs: 5000 });
  for (const { isWhole } of await Promise.all(flows)) t.equal(isWhole, true);
  await worker.gone;
  t.same(worker.said, ['ready', 'draining', 'ended']);
  const late = await exchange(99, worker.address, 'small', 1000);
  t.equal(late.receivedBytes, 0, 'nobody listens any more');
});

workerTest('worker: draining with nothing to do ends at once', {}, async (t, worker) => {
  const began = Date.now();
  worker.send({ type: 'drain', timeoutMs: 30_000 });
  await worker.gone;
  t.ok(Date.now() - began < 2000);
  t.same(worker.said, ['ready', 'draining', 'ended']);
});

/** A client that says nothing: its flow lasts. */
async function silent(worker: DataWorker): Promise<() => Promise<boolean>> {
  const { connect } = await import('node:net');
  const { address } = worker;
  if (address.family === 'unix') throw new Error('TCP only');
  const socket = connect({ host: address.host, port: address.port });
  let wasReset = false;
  socket.on('error', (error: NodeJS.ErrnoException) => {
    wasReset = error.code === 'ECONNRESET';
  });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const connections = worker.count('flows_active') + 1;
  await until(() => worker.count('flows_active') === connections);
  return async () => {
    await closed;
    return wasReset;
  };
}

workerTest('worker: flows that outlast a drain are reset', {}, async (t, worker) => {
  const end = await silent(worker);
  worker.send({ type: 'drain', timeoutMs: 200 });
  t.equal(await end(), true);
  await worker.gone;
  t.equal(worker.closed('drain_timeout'), 1);
});

workerTest('worker: a drain may be cut short', {}, async (t, worker) => {
  const end = await silent(worker);
  worker.send({ type: 'drain', timeoutMs: 60_000 });
  await until(() => worker.said.includes('draining'));
  worker.send({ type: 'drain', timeoutMs: 60_000 });
  worker.send({ type: 'stop' });
  t.equal(await end(), true);
  await worker.gone;
  t.equal(worker.closed('stopped'), 1);
  t.same(worker.said, ['ready', 'draining', 'ended'], 'asked twice, it drains once');
});

workerTest(
  'worker: what cannot be carried out keeps nothing from what follows',
  {},
  async (t, worker) => {
    const broken = { type: 'upstreams', upstreams: [null] } as unknown as ToWorker;
    worker.sendAtOnce(broken, { type: 'stop' });
    await worker.gone;
    t.match(worker.lines, [{ msg: 'worker: a message could not be carried out' }]);
  },
);

workerTest('worker: a bell without a message is no matter', {}, async (t, worker) => {
  for (let times = 0; times < 10; times++) worker.ring();
  await sleep(20);
  const outcome = await exchange(1, worker.address, 'small', 5000);
  t.equal(outcome.isWhole, true);
  worker.send({ type: 'stop' });
});

workerTest('worker: sleeps while nothing happens', {}, async (t, worker) => {
  const end = await silent(worker);
  await sleep(50);
  const turns = worker.count('loop_turns');
  await sleep(300);
  t.ok(worker.count('loop_turns') - turns < 5, `${worker.count('loop_turns') - turns} turns`);
  worker.send({ type: 'stop' });
  await end();
});

workerTest(
  'worker: its log comes in batches, the last with its end',
  { logsAccess: true },
  async (t, worker) => {
    for (let id = 1; id <= 3; id++) await exchange(id, worker.address, 'small', 5000);
    worker.send({ type: 'stop' });
    await worker.gone;
    t.match(
      worker.lines,
      Array(3).fill({ msg: 'flow', worker: 0, close: 'done', bytes_down: 768 }),
    );
    t.equal(worker.messages.at(-1)?.type, 'ended');
  },
);

workerTest(
  'worker: the limit of connections holds, and later ones wait',
  { connectionsMax: 1 },
  async (t, worker) => {
    const end = await silent(worker);
    const flow = exchange(1, worker.address, 'small', 5000);
    await until(() => worker.count('accept_paused_limit') > 0);
    t.equal(worker.count('flows_active'), 1);
    worker.send({ type: 'drain', timeoutMs: 100 });
    t.equal(await end(), true);
    await flow;
  },
);

/** Has some exchanges, and ends the worker. @returns what it has logged */
async function exchangeAndStop(t: Test, worker: DataWorker): Promise<object[]> {
  const flows = [1, 2, 3].map((id) => exchange(id, worker.address, 'small', 5000));
  for (const { isWhole } of await Promise.all(flows)) t.equal(isWhole, true);
  const open = worker.count('batches_open');
  worker.send({ type: 'stop' });
  await worker.gone;
  t.equal(worker.count('batches_open'), 0, 'who has ended makes no calls');
  return [{ open }, ...worker.lines];
}

workerTest(
  'worker: calls are made together, and counted',
  { plan: new FaultPlan(), sharesCalls: true },
  async (t, worker) => {
    t.strictSame(await exchangeAndStop(t, worker), [{ open: 1 }]);
    const batches = worker.count('batches');
    t.ok(batches > 0);
    t.ok(worker.count('batched_calls') >= batches, 'none is empty');
  },
);

workerTest(
  'worker: what is switched off is not tried, and nothing is said of it',
  { plan: new FaultPlan(), sharesCalls: true, ioUring: false },
  async (t, worker) => {
    t.strictSame(await exchangeAndStop(t, worker), [{ open: 0 }]);
    t.equal(worker.count('batches'), 0);
  },
);

workerTest(
  'worker: without io_uring each call is made by itself, which is said once',
  { plan: new FaultPlan() },
  async (t, worker) => {
    const reason = { level: 30, worker: 0, reason: 'EPERM', msg: /by itself/ };
    t.match(await exchangeAndStop(t, worker), [{ open: 0 }, reason]);
    t.equal(worker.count('batches'), 0);
    t.equal(worker.lines.length, 1);
  },
);
