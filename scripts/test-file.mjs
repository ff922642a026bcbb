// One test file in a process of its own, `node FILE`, which writes TAP. Not `tap run`: its hooks for coverage and for mocks, of
// which nothing here makes use, follow every module of every process, those that tests start included. That was half of the time of all tests.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Parser } from 'tap-parser';

/** A test that hangs ends by then, and says what it waited for. */
const TIMEOUT_S = 240;
/** Who does not even do that is killed. Tests in a kernel of their own have 575 seconds. */
const KILL_MS = 600_000;
/** Of whoever waits for the tests. */
const interruptions = ['SIGINT', 'SIGTERM'];
/** What a test has left behind may hold its pipes open. */
const LAST_WORDS_MS = 1000;

/**
 * @param file path of the compiled test
 * @param cwd where it runs
 * @returns when it is over: how many assertions `passed` and were `skipped`, the `failures` with what is known of each,
 *   whether all `isOk`, `how` the process ended, what it wrote to standard error, and `seconds`
 */
export async function runTestFile(file, cwd) {
  const beganMs = performance.now();
  const child = spawn(process.execPath, ['--enable-source-maps', file], {
    cwd,
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(TIMEOUT_S) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: with a test that hangs goes what it has started.
    detached: true,
  });
  const kill = () => process.kill(-child.pid, 'SIGKILL');
  const tap = gather(child.stdout);
  const errors = gather(child.stderr);
  const killer = setTimeout(kill, KILL_MS);
  const interrupted = (signal) => {
    kill();
    process.kill(process.pid, signal);
  };
  for (const signal of interruptions) process.once(signal, interrupted);
  const closed = once(child, 'close');
  const [code, signal] = await once(child, 'exit');
  clearTimeout(killer);
  for (const signal of interruptions) process.off(signal, interrupted);
  const patience = new AbortController();
  await Promise.race([closed, sleep(LAST_WORDS_MS, undefined, { signal: patience.signal })]);
  patience.abort();
  const events = Parser.parse(tap.join(''), { flat: true });
  const asserts = events.filter(([kind]) => kind === 'assert').map(([, event]) => event);
  const [, result] = events.find(([kind]) => kind === 'complete') ?? [];
  return {
    file,
    passed: asserts.filter(({ ok, skip }) => ok && !skip).length,
    skipped: asserts.filter(({ skip }) => skip).length,
    failures: asserts.filter(({ ok, todo }) => !ok && !todo),
    isOk: result?.ok === true && code === 0,
    how: signal ?? `exit code ${code}`,
    errors: errors.join(''),
    seconds: (performance.now() - beganMs) / 1000,
  };
}

function gather(stream) {
  const texts = [];
  stream.setEncoding('utf8').on('data', (text) => texts.push(text));
  return texts;
}
