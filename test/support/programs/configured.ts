// `headgate run` with a configuration of the test's own.
import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { sleep } from '../deadline.js';
import type { OpenFiles } from '../machine/proc.js';
import { type Headgate, startHeadgate } from './headgate.js';
import { expectNoLeak } from './leak.js';
import { expectCleanExit, temporaryDirectory } from './rig.js';

/** So many in a row, and everything is loaded. */
const LOOKS_ALIKE = 6;

export interface Configured {
  readonly headgate: Headgate;
  /** Asserts that all flows have gone without a trace, and a clean exit after SIGTERM. */
  finish(): Promise<void>;
}

/** Starts one worker with `config` and waits until it listens; the teardown of `t` ends it whatever happens. */
export async function startConfigured(t: Test, config: object): Promise<Configured> {
  const file = `${temporaryDirectory(t)}/headgate.yaml`;
  // JSON is YAML.
  const text = JSON.stringify({ workers: 1, ...config });
  writeFileSync(file, text);
  const headgate = await startHeadgate(['run', '-c', file]);
  t.teardown(() => headgate.kill());
  const before = await filesAtRest(headgate, text.includes('"capture":'));
  const finish = async () => {
    await expectNoLeak(headgate, before);
    await expectCleanExit(t, headgate);
  };
  return { headgate, finish };
}

/** What is open before there are flows. @param isBeginning a thread that nobody waits for may be loading still */
async function filesAtRest(headgate: Headgate, isBeginning: boolean): Promise<OpenFiles> {
  let files = headgate.openFiles();
  for (let looks = 0; isBeginning && looks < LOOKS_ALIKE; ) {
    await sleep(50);
    const next = headgate.openFiles();
    looks = JSON.stringify(next) === JSON.stringify(files) ? looks + 1 : 0;
    files = next;
  }
  return files;
}
