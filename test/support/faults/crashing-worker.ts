/**
 * A worker thread as in production, but for a bug: it dies when a client sends one of the
 * {@link lastWords}, or at its start while the environment says so, and sleeps when one sends {@link LULLABY}.
 */
import { workerData } from 'node:worker_threads';
import koffi from 'koffi';
import type { WorkerStart } from '#src/proxy/index.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { Worker } from '#src/proxy/worker.js';
import { type Libc, loadLibc } from '#src/splice/index.js';
import { type Death, DIES_AT_START, LULLABY, lastWords, STUCK_MS } from './last-words.js';
import { serialBatch } from './serial-batch.js';

const LONGEST = Math.max(...[LULLABY, ...Object.values(lastWords)].map(({ length }) => length));
const deaths = Object.keys(lastWords) as Death[];

function textAt(address: number, length: number): string {
  if (length < 1 || length > LONGEST) return '';
  const bytes = koffi.decode(address, koffi.array('uint8_t', length)) as number[];
  return Buffer.from(bytes).toString('latin1');
}

function mortal({ calls, errno }: Libc): Libc {
  const { recv, epoll_wait, setsockopt } = calls;
  let death: Death | undefined;
  let isSleepy = false;
  return {
    errno,
    calls: {
      ...calls,
      recv(...args) {
        const result = recv(...args);
        const text = textAt(args[1]!, result);
        death ??= deaths.find((one) => lastWords[one] === text);
        isSleepy ||= text === LULLABY;
        if (death === 'sudden') process.exit(1);
        return result;
      },
      epoll_wait(...args) {
        if (isSleepy) {
          isSleepy = false;
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STUCK_MS);
        }
        if (death !== undefined) throw new Error('a bug of the worker');
        return epoll_wait(...args);
      },
      // Called first when a flow is reset.
      setsockopt(...args) {
        if (death === 'helpless') throw new Error('another bug of the worker');
        return setsockopt(...args);
      },
    },
  };
}

if (process.env[DIES_AT_START] !== undefined) throw new Error('a bug at the start');
const start = workerData as WorkerStart;
new Worker(start, new ThreadKernel(start.descriptors, mortal(loadLibc()), serialBatch)).run();
start.port.close();
