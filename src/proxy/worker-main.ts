/** Where a worker thread begins and ends. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from './messages.js';
import { rehearse } from './rehearsal/index.js';
import { ThreadKernel } from './thread-kernel.js';
import { Worker } from './worker.js';

const start = workerData as WorkerStart;
const thread = new ThreadKernel(start.descriptors);
const hasRehearsed = rehearse(start.snapshot, thread);
const worker = new Worker(start, thread);
if (!hasRehearsed) {
  worker.log.info(
    'no rehearsal, for want of loopback or descriptors: the first seconds are slower',
  );
}
worker.run();
start.port.close();
