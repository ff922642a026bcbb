/** A worker thread as in production, but for the C library it is given. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { Worker } from '#src/proxy/worker.js';
import { FaultPlan } from './fault-plan.js';
import { FaultyLibc } from './faulty-libc.js';

const { start, plan } = workerData as { start: WorkerStart; plan: SharedArrayBuffer };
const libc = new FaultyLibc(new FaultPlan(plan));
new Worker(start, new ThreadKernel(start.descriptors, libc)).run();
start.port.close();
