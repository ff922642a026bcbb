/** Where a worker thread begins and ends. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from './messages.js';
import { ThreadKernel } from './thread-kernel.js';
import { warmUp } from './warmup/index.js';
import { Worker } from './worker.js';

const start = workerData as WorkerStart;
const thread = new ThreadKernel(start.descriptors);
const obstacle = warmUp(start.snapshot, thread);
const worker = new Worker(start, thread);
if (obstacle !== undefined) {
  worker.log.warn({ err: obstacle }, 'warm-up given up: the first seconds under load are slower');
}
worker.run();
start.port.close();
