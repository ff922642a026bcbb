// What the suites share: processor time around a load, targets, what has to be installed.
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, firstLine } from './process.js';
import type { Target } from './scenario.js';
import { cpuSecondsBetween, sampleCpu } from './usage.js';

/** For the last closes after a load: they belong to it, and cost the proxy time. */
const settleMs = 200;

export const ratio = (bound: Target['bound'], value: number): Target => ({
  bound,
  value,
  of: 'ratio',
});

/** Runs a load and adds up the processor time the proxy used for it. Throws when the proxy did not survive it. */
export async function whileMeasuringCpu<T>(
  proxy: Child,
  load: () => Promise<T>,
): Promise<{ result: T; cpuSeconds: number }> {
  const before = sampleCpu(proxy.pid);
  const result = await load();
  await delay(settleMs);
  const after = sampleCpu(proxy.pid);
  proxy.assertRunning();
  return { result, cpuSeconds: cpuSecondsBetween(before, after) };
}

export async function missingProgram(...programs: string[]): Promise<string | null> {
  for (const program of programs) {
    if ((await firstLine(program, '-v')) === null) return `${program} is not installed`;
  }
  return null;
}
