/** A worker thread as in production, but for the C library it is given. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { Worker } from '#src/proxy/worker.js';
import { FaultPlan } from './fault-plan.js';
import { FaultyLibc } from './faulty-libc.js';
import { noBatch, serialBatch } from './serial-batch.js';

const { start, plan, sharesCalls } = workerData as {
  start: WorkerStart;
  plan: SharedArrayBuffer;
  sharesCalls: boolean;
};
const libc = new FaultyLibc(new FaultPlan(plan));
const newBatch = sharesCalls ? serialBatch : noBatch;
new Worker(start, new ThreadKernel(start.descriptors, libc, newBatch)).run();
start.port.close();
