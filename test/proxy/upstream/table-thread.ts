// What one thread of the endpoint table's tests does: the same as the other, at the same time.
import { parentPort, workerData } from 'node:worker_threads';
import { EndpointLedger, processMs } from '#src/proxy/upstream/index.js';

export interface TableTask {
  readonly memory: SharedArrayBuffer;
  readonly worker: number;
  /** One Int32: threads wait until all of them are here. */
  readonly gate: SharedArrayBuffer;
  readonly threads: number;
  readonly rounds: number;
  readonly limit: number;
  readonly slot: number;
}

export interface TableResult {
  readonly entered: number;
  readonly refused: number;
  /** Most connections it ever saw. */
  readonly activeMax: number;
  readonly ejections: number;
  readonly processMs: number;
}

const task = workerData as TableTask;
const ledger = new EndpointLedger(task.memory, task.worker);
const gate = new Int32Array(task.gate);
Atomics.add(gate, 0, 1);
Atomics.notify(gate, 0);
while (Atomics.load(gate, 0) < task.threads) {
  Atomics.wait(gate, 0, Atomics.load(gate, 0), 1000);
}

const result = { entered: 0, refused: 0, activeMax: 0, ejections: 0, processMs: processMs() };
for (let round = 0; round < task.rounds; round++) {
  if (ledger.enter(task.slot, task.limit)) {
    result.entered++;
    // What is above the limit is another thread's addition that it is about to take back.
    result.activeMax = Math.max(result.activeMax, ledger.active(task.slot));
    if (round % 3 === 0) ledger.connected(task.slot);
    else ledger.failed(task.slot, 111);
    if (round % 2 === 0) ledger.leave(task.slot);
  } else {
    result.refused++;
  }
  // Each tick is ejected once, by whichever thread comes first.
  if (ledger.eject(task.slot + 1, round, 1) > 0) result.ejections++;
}
parentPort!.postMessage(result satisfies TableResult);
