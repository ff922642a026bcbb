import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import {
  ENDPOINT_SLOTS,
  EndpointLedger,
  EndpointState,
  EndpointTable,
  Health,
  processMs,
} from '#src/proxy/upstream/index.js';
import type { TableResult, TableTask } from './table-thread.js';

const SLOT = 3;
const ERRNO = 111;

t.test('table: the first who objects decides the state', async (t) => {
  const memory = EndpointTable.createMemory(1);
  const [table, ledger] = [new EndpointTable(memory), new EndpointLedger(memory, 0)];
  const state = () => table.state(SLOT, 100);
  t.equal(state(), EndpointState.unchecked);
  table.setHealth(SLOT, Health.up);
  t.equal(state(), EndpointState.up);
  ledger.eject(SLOT, 100, 5000);
  t.equal(state(), EndpointState.ejected);
  table.setHealth(SLOT, Health.down);
  t.equal(state(), EndpointState.down);
  table.setDraining(SLOT, true);
  t.equal(state(), EndpointState.draining);
  table.setHealth(SLOT, Health.up);
  table.setDraining(SLOT, false);
  t.equal(state(), EndpointState.ejected, 'what traffic said was not forgotten');
  t.equal(table.state(SLOT, 149), EndpointState.ejected);
  t.equal(table.state(SLOT, 150), EndpointState.up);
});

t.test('table: every slot is its own', async (t) => {
  const memory = EndpointTable.createMemory(3);
  const table = new EndpointTable(memory);
  const ledgers = [0, 1, 2].map((worker) => new EndpointLedger(memory, worker));
  for (const slot of [0, 1, ENDPOINT_SLOTS - 1]) {
    for (const ledger of ledgers) {
      ledger.enter(slot, Number.POSITIVE_INFINITY);
      ledger.connected(slot);
      ledger.failed(slot, ERRNO);
      ledger.startWaiting(slot, 10);
    }
  }
  const all = Array.from({ length: ENDPOINT_SLOTS }, (_, slot) => table.read(slot));
  const used = all.filter(({ active }) => active > 0);
  t.equal(used.length, 3);
  for (const reading of used) {
    t.match(reading, {
      active: 3,
      waiting: 3,
      connects: 3,
      failures: 3,
      failuresInRow: 1,
      lastErrno: ERRNO,
    });
  }
  t.match(all[2], { state: EndpointState.unchecked, active: 0, connects: 0, lastErrno: 0 });
});

t.test('table: a dead worker leaves nothing behind', async (t) => {
  const memory = EndpointTable.createMemory(2);
  const table = new EndpointTable(memory);
  const [dead, alive] = [new EndpointLedger(memory, 0), new EndpointLedger(memory, 1)];
  for (let count = 0; count < 5; count++) dead.enter(SLOT, 100);
  dead.leave(SLOT);
  dead.connected(SLOT);
  dead.startWaiting(7, 10);
  alive.enter(SLOT, 100);
  alive.startWaiting(7, 10);
  table.forgetWorker(0);
  t.match(table.read(SLOT), { active: 1, connects: 1 }, 'what it did stays counted');
  t.equal(table.waiting(7), 1);
  const successor = new EndpointLedger(memory, 0);
  successor.enter(SLOT, 100);
  successor.leave(SLOT);
  t.equal(table.active(SLOT), 1);
  table.forgetWorker(0);
  t.equal(table.active(SLOT), 1, 'forgetting twice is forgetting once');
});

t.test('table: a limit is a limit', async (t) => {
  const memory = EndpointTable.createMemory(1);
  const ledger = new EndpointLedger(memory, 0);
  t.same(
    [1, 2, 3, 4].map(() => ledger.enter(SLOT, 2)),
    [true, true, false, false],
  );
  ledger.leave(SLOT);
  t.ok(ledger.enter(SLOT, 2));
});

t.test('table: the clock is the same in every thread, and starts after 0', async (t) => {
  const table = new EndpointTable(EndpointTable.createMemory(1));
  t.ok(table.tickAt(processMs()) > 0);
  t.equal(table.tickAt(processMs() + 1000) - table.tickAt(processMs()), 10);
  const years = 6;
  const tick = table.tickAt(processMs() + years * 365 * 86_400_000);
  t.equal(tick | 0, tick, 'six years fit into a word');
});

t.test('table: two threads at once lose nothing and exceed nothing', async (t) => {
  const threads = 2;
  const rounds = 200_000;
  const limit = 50_000;
  const { memory, results } = await race(t, { threads, rounds, limit });
  const table = new EndpointTable(memory);
  const entered = results.reduce((sum, one) => sum + one.entered, 0);
  const refused = results.reduce((sum, one) => sum + one.refused, 0);
  t.equal(entered + refused, threads * rounds);
  t.equal(table.active(SLOT), limit, 'every second one stays, until the limit');
  t.ok(Math.max(...results.map(({ activeMax }) => activeMax)) < limit + threads);
  const { connects, failures } = table.read(SLOT);
  t.equal(connects + failures, entered);
  for (let worker = 0; worker < threads; worker++) table.forgetWorker(worker);
  t.equal(table.active(SLOT), 0, 'each worker’s own part was right');
});

t.test('table: two threads eject an endpoint once a time', async (t) => {
  const rounds = 50_000;
  const { memory, results } = await race(t, { threads: 2, rounds, limit: 1 });
  const counted = new EndpointTable(memory).read(SLOT + 1).ejections;
  const made = results.reduce((sum, one) => sum + one.ejections, 0);
  t.equal(counted, made);
  t.ok(made <= rounds, `${made} ejections in ${rounds} ticks`);
  const [one, other] = results;
  t.ok(Math.abs(one!.processMs - other!.processMs) < 2000, 'the threads’ clocks are the same');
  t.ok(Math.abs(one!.processMs - processMs()) < 20_000);
});

async function race(
  t: Test,
  settings: { threads: number; rounds: number; limit: number },
): Promise<{ memory: SharedArrayBuffer; results: TableResult[] }> {
  const memory = EndpointTable.createMemory(settings.threads);
  const gate = new SharedArrayBuffer(4);
  const results = await Promise.all(
    Array.from({ length: settings.threads }, async (_, worker) => {
      const workerData: TableTask = { memory, worker, gate, slot: SLOT, ...settings };
      const thread = new Worker(new URL('./table-thread.js', import.meta.url), { workerData });
      t.teardown(() => thread.terminate());
      const [result] = await once(thread, 'message');
      return result as TableResult;
    }),
  );
  return { memory, results };
}
