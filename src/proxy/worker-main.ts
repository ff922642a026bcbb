/** Where a worker thread begins and ends. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from './messages.js';
import { Worker } from './worker.js';

const start = workerData as WorkerStart;
new Worker(start).run();
start.port.close();
