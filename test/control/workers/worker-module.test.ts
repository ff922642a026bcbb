import { execFileSync } from 'node:child_process';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { eagerFeedback, inlining, workerModule } from '#src/control/workers/worker-module.js';

const BUNDLE = 'dist/worker.js';
const STAMP = 'build/src.tsbuildinfo';

/** @param files with their ages in seconds */
function moduleIn(t: Test, files: Record<string, number>): string {
  const root = t.testdir();
  for (const directory of ['dist', 'build']) mkdirSync(`${root}/${directory}`);
  for (const [name, age] of Object.entries(files)) {
    writeFileSync(`${root}/${name}`, '');
    const changed = Date.now() / 1000 - age;
    utimesSync(`${root}/${name}`, changed, changed);
  }
  const base = pathToFileURL(`${root}/`);
  return workerModule(base).href.slice(base.href.length);
}

t.test('worker module: the bundle, unless a module is newer', async (t) => {
  const modules = 'dist/proxy/worker-main.js';
  t.equal(moduleIn(t, {}), modules);
  t.equal(moduleIn(t, { [STAMP]: 10 }), modules);
  t.equal(moduleIn(t, { [BUNDLE]: 20, [STAMP]: 10 }), modules);
  t.equal(moduleIn(t, { [BUNDLE]: 10, [STAMP]: 20 }), BUNDLE);
  t.equal(moduleIn(t, { [BUNDLE]: 10 }), BUNDLE, 'as installed');
});

t.test('worker module: both are there, and begin where a worker does', async (t) => {
  for (const name of [BUNDLE, 'dist/proxy/worker-main.js']) {
    const url = new URL(`../../../../${name}`, import.meta.url);
    const worker = new Worker(url, { workerData: undefined });
    const error = await new Promise<Error>((resolve) => worker.on('error', resolve));
    // It has loaded all it needs, and misses what it is to do.
    t.match(error.message, /snapshot|undefined/, name);
  }
});

t.test('worker module: with --enable-source-maps a stack says where in src/', async (t) => {
  const url = new URL(`../../../../${BUNDLE}`, import.meta.url);
  const worker = new Worker(url, { execArgv: ['--enable-source-maps'] });
  const { stack } = await new Promise<Error>((resolve) => worker.on('error', resolve));
  t.match(stack, /src\/proxy\/worker-main\.ts:\d+/);
});

t.test('worker module: V8 knows the flags', async (t) => {
  const known = execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' });
  for (const flag of [...inlining, eagerFeedback]) {
    const [name] = flag.replace('--no-', '--').split('=');
    t.match(known, `${name} `);
  }
});
