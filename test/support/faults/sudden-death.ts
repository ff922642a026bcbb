// Loaded in front of the program itself (`node --import`): whenever the file that HEADGATE_TEST_DEATH names appears, one
// data thread has a bug outside of any flow: reading the clock throws, once.
import { unlinkSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const order = process.env.HEADGATE_TEST_DEATH;

/** @returns false when another thread was faster, or there is no order: unlink(2) succeeds once */
function takeOrder(): boolean {
  try {
    unlinkSync(order!);
    return true;
  } catch {
    return false;
  }
}

if (!isMainThread && order !== undefined) {
  const now = performance.now.bind(performance);
  performance.now = () => {
    if (takeOrder()) throw new Error('a clock that stands still');
    return now();
  };
}
