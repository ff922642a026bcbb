/**
 * A capture thread as in production, but for the orders in the file that HEADGATE_TEST_RECORDER names, looked at before
 * each write: `slow MS` makes the disk slow, `refuse pwrite|splice ERRNO` breaks it, `fail …` does so once, `die` is a bug
 * of the thread. What is obeyed once takes the file away.
 */
import { readFileSync, unlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { Recorder } from '#src/control/capture/recorder.js';
import type { RecorderStart } from '#src/control/capture/recorder-messages.js';
import { type Libc, loadLibc } from '#src/splice/index.js';

const path = process.env.HEADGATE_TEST_RECORDER!;
const never = new Int32Array(new SharedArrayBuffer(4));

function order(): string[] {
  try {
    return readFileSync(path, 'utf8').split(' ');
  } catch {
    return [];
  }
}

function obedient(library: Libc): Libc {
  let error = 0;
  const wrap =
    (name: 'pwrite' | 'splice') =>
    (...args: number[]): number => {
      const [what, which, errno] = order();
      if (what === 'slow') Atomics.wait(never, 0, 0, Number(which));
      if ((what === 'fail' || what === 'refuse') && which === name) {
        if (what === 'fail') unlinkSync(path);
        error = Number(errno);
        return -1;
      }
      error = 0;
      return library.calls[name](...args);
    };
  return {
    calls: { ...library.calls, pwrite: wrap('pwrite'), splice: wrap('splice') },
    errno: () => (error === 0 ? library.errno() : error),
  };
}

const now = performance.now.bind(performance);
performance.now = () => {
  if (order()[0] === 'die') {
    unlinkSync(path);
    throw new Error('a bug of the capture thread');
  }
  return now();
};

const start = workerData as RecorderStart;
new Recorder(start, obedient(loadLibc())).run();
start.port.close();
