/** Where a worker thread begins and ends. */
import { workerData } from 'node:worker_threads';
import { SystemCallError } from '../splice/index.js';
import type { WorkerStart } from './messages.js';
import { ThreadKernel } from './thread-kernel.js';
import { Stuck, warmUp } from './warmup/index.js';
import { Worker } from './worker.js';

const GIVEN_UP = 'warm-up given up: the first seconds under load are slower';

const start = workerData as WorkerStart;
const thread = new ThreadKernel(start.descriptors);
const obstacle = warmUp(start.snapshot, thread);
const worker = new Worker(start, thread);
if (obstacle instanceof Stuck || obstacle instanceof SystemCallError) {
  worker.log.warn({ reason: obstacle.message }, GIVEN_UP);
} else if (obstacle !== undefined) {
  worker.log.error({ err: obstacle }, GIVEN_UP);
}
worker.run();
start.port.close();
