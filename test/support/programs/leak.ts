// The check that ends every test with flows: the proxy holds no more files than before them.
import { DeadlineExceeded, sleep } from '../deadline.js';
import type { OpenFiles } from '../machine/proc.js';
import type { Headgate } from './headgate.js';

/** Ends of pooled pipes one worker may keep: 64 MiB of pipe memory in pipes of 1 MiB, two ends each. */
const pooledPipeEndsMax = 128;

/**
 * Asserts that the open files of `headgate` return to `before` within `timeoutMs`: sockets exactly, others to no more (Node
 * may have been reading a file of its own), pipes up to what the pools of `workers` may keep.
 * @throws DeadlineExceeded with the counts.
 */
export async function expectNoLeak(
  headgate: Headgate,
  before: OpenFiles,
  { workers = 1, timeoutMs = 5_000 } = {},
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const now = headgate.openFiles();
    const clean =
      now.sockets === before.sockets &&
      now.others <= before.others &&
      now.pipes <= before.pipes + workers * pooledPipeEndsMax;
    if (clean) return;
    if (performance.now() > endMs) {
      const what = `open files return to ${JSON.stringify(before)}, still ${JSON.stringify(now)}`;
      throw new DeadlineExceeded(what, timeoutMs, headgate.context);
    }
    await sleep(20);
  }
}
