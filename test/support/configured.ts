// `headgate run` with a configuration of the test's own.
import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { type Headgate, startHeadgate } from './headgate.js';
import { expectNoLeak } from './leak.js';
import { expectCleanExit, temporaryDirectory } from './rig.js';

export interface Configured {
  readonly headgate: Headgate;
  /** Asserts that all flows have gone without a trace, and a clean exit after SIGTERM. */
  finish(): Promise<void>;
}

/** Starts one worker with `config` and waits until it listens; the teardown of `t` ends it whatever happens. */
export async function startConfigured(t: Test, config: object): Promise<Configured> {
  const file = `${temporaryDirectory(t)}/headgate.yaml`;
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ workers: 1, ...config }));
  const headgate = await startHeadgate(['run', '-c', file]);
  t.teardown(() => headgate.kill());
  const before = headgate.openFiles();
  const finish = async () => {
    await expectNoLeak(headgate, before);
    await expectCleanExit(t, headgate);
  };
  return { headgate, finish };
}
