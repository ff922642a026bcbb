/** A worker thread as in production, but for tee(2), of which many calls are short, find a full pipe, or fail. */
import { workerData } from 'node:worker_threads';
import type { WorkerStart } from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { Worker } from '#src/proxy/worker.js';
import { Errno, type Libc, loadLibc } from '#src/splice/index.js';
import { Random } from '../random.js';
import { serialBatch } from './serial-batch.js';

function faulty({ calls, errno }: Libc, random: Random): Libc {
  let error = 0;
  return {
    errno() {
      const injected = error;
      error = 0;
      return injected === 0 ? errno() : injected;
    },
    calls: {
      ...calls,
      tee(from, to, length, flags) {
        if (random.oneIn(6)) return calls.tee(from!, to!, random.between(1, length!), flags!);
        if (random.oneIn(6)) error = Errno.EAGAIN;
        else if (random.oneIn(60)) error = random.pick([Errno.ENOMEM, Errno.EINVAL]);
        return error === 0 ? calls.tee(from!, to!, length!, flags!) : -1;
      },
    },
  };
}

const start = workerData as WorkerStart;
const libc = faulty(loadLibc(), new Random(Number(process.env.HEADGATE_TEST_SEED)));
new Worker(start, new ThreadKernel(start.descriptors, libc, serialBatch)).run();
start.port.close();
