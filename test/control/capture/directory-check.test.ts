import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { loadConfig } from '#src/config/index.js';
import { captureChecks } from '#src/control/index.js';
import { missingRoot, testWith } from '#test/support/machine/capability.js';
import { programPath } from '#test/support/programs/headgate.js';
import { runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const text = (directory: string): string =>
  JSON.stringify({
    listeners: { a: { bind: 'unix:@a', tcp: { upstream: 'b', capture: { directory } } } },
    upstreams: { b: { demo: true } },
  });

function check(directory: string) {
  const loaded = loadConfig(text(directory));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const checks = captureChecks(loaded.config);
  return checks[0]!;
}

t.test('capture directories: one that is there, and one that will be made', async (t) => {
  const home = temporaryDirectory(t);
  t.match(check(home), { name: `capture ${home}`, state: 'ok', detail: /^\d+ MiB free$/ });
  t.match(check(`${home}/a/b/c`), { state: 'ok', detail: /it will be made$/ });
});

t.test('capture directories: a file in the way, and one that others may read', async (t) => {
  const home = temporaryDirectory(t);
  writeFileSync(`${home}/file`, '');
  t.match(check(`${home}/file`), { state: 'low', detail: /file is not a directory/ });
  t.match(check(`${home}/file/captures`), { state: 'low', detail: /file is not a directory/ });
  mkdirSync(`${home}/open`);
  chmodSync(`${home}/open`, 0o755);
  t.match(check(`${home}/open`), { state: 'low', detail: /mode 755/ });
});

testWith(missingRoot(), 'capture directories: somebody else’s', { timeout: 20_000 }, async (t) => {
  const home = temporaryDirectory(t);
  chmodSync(home, 0o755);
  mkdirSync(`${home}/roots`, 0o700);
  writeFileSync(`${home}/headgate.yaml`, text(`${home}/roots`));
  // As nobody; the program itself may be where only root looks.
  const program = [process.execPath, programPath, 'check', '-c', `${home}/headgate.yaml`];
  const asRoot = await runProgram(program, 10_000);
  t.equal(asRoot.stderr, '');
  const code = `import { captureChecks } from '${new URL('../../../../dist/control/index.js', import.meta.url).pathname}';
import { loadConfig } from '${new URL('../../../../dist/config/index.js', import.meta.url).pathname}';
process.setuid(65534);
console.log(captureChecks(loadConfig(${JSON.stringify(text(`${home}/roots`))}).config)[0].detail);`;
  const words = [process.execPath, '--input-type=module', '-e', code];
  const { stdout } = await runProgram(words, 10_000);
  t.match(stdout.toString(), /roots is not writable for user 65534/);
});

testWith(missingRoot(), 'capture directories: a full one', { timeout: 20_000 }, async (t) => {
  const directory = temporaryDirectory(t);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', directory], {
      stdio: 'pipe',
    });
  } catch {
    t.plan(0, 'file systems cannot be mounted here');
    return;
  }
  t.teardown(() => execFileSync('umount', ['-l', directory]));
  t.match(check(directory), { state: 'low', detail: /is full: [01] MiB free/ });
});

t.test('capture directories: check and doctor say so', { timeout: 20_000 }, async (t) => {
  const home = temporaryDirectory(t);
  writeFileSync(`${home}/file`, '');
  writeFileSync(`${home}/headgate.yaml`, text(`${home}/file`));
  const run = (...args: string[]) =>
    runProgram([process.execPath, programPath, ...args, '-c', `${home}/headgate.yaml`], 10_000);
  const { stdout, stderr } = await run('check');
  t.match(stdout.toString(), /: ok\n$/);
  t.match(stderr, /warning: capture .*file is not a directory\n$/);
  t.match((await run('doctor')).stdout.toString(), /capture .*\/file +LOW +.*is not a directory/);
});
