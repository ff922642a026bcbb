import { execFile } from 'node:child_process';
import { cpSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { type Bundle, bundles, moduleToRun } from '#src/bundles.js';
import { until } from './support/deadline.js';
import { startHeadgate } from './support/programs/headgate.js';

const execute = promisify(execFile);
const ROOT = new URL('../../', import.meta.url);
const STAMP = 'build/src.tsbuildinfo';
const files = Object.keys(bundles) as Bundle[];
const main = 'main/index.js';
/** Those of a thread: the first thing it looks at is what it was given. */
const threads = files.filter((file) => file !== main);

/** Empty files with their ages in seconds. */
function age(root: string, ages: Record<string, number>): void {
  for (const [name, seconds] of Object.entries(ages)) {
    const changed = Date.now() / 1000 - seconds;
    writeFileSync(`${root}/${name}`, '', { flag: 'a' });
    utimesSync(`${root}/${name}`, changed, changed);
  }
}

function moduleIn(t: Test, bundle: Bundle, ages: Record<string, number>): string {
  const root = t.testdir({ dist: { main: {} }, build: {} });
  age(root, ages);
  const base = pathToFileURL(`${root}/`);
  return moduleToRun(bundle, base).href.slice(base.href.length);
}

t.test('bundles: what to run is the bundle, unless a module is newer', async (t) => {
  for (const bundle of files) {
    const modules = `dist/${bundles[bundle]}`;
    const file = `dist/${bundle}`;
    t.equal(moduleIn(t, bundle, {}), modules);
    t.equal(moduleIn(t, bundle, { [STAMP]: 10 }), modules);
    t.equal(moduleIn(t, bundle, { [file]: 20, [STAMP]: 10 }), modules);
    t.equal(moduleIn(t, bundle, { [file]: 10, [STAMP]: 20 }), file);
    t.equal(moduleIn(t, bundle, { [file]: 10 }), file, 'as installed');
  }
});

/** A thread that has nothing to do: what it says of that. */
async function endOf(path: string, execArgv: string[] = []): Promise<Error> {
  const worker = new Worker(new URL(`dist/${path}`, ROOT), { workerData: undefined, execArgv });
  return new Promise((resolve) => worker.on('error', resolve));
}

t.test('bundles: of a thread, begin where it does, as the modules do', async (t) => {
  for (const bundle of threads) {
    for (const path of [bundle, bundles[bundle]]) {
      // It has loaded all it needs, and misses what it is to do.
      t.match((await endOf(path)).message, /snapshot|undefined/, path);
    }
  }
});

t.test('bundles: of a thread, with --enable-source-maps a stack says where in src/', async (t) => {
  for (const bundle of threads) {
    const { stack } = await endOf(bundle, ['--enable-source-maps']);
    const module = bundles[bundle].replace(/\.js$/, '.ts');
    t.match(stack, new RegExp(`src/${module}:\\d+`));
  }
});

/** The package somewhere else, as built. @returns its root */
function copyOf(t: Test): string {
  const root = t.testdir({ build: {} });
  const from = fileURLToPath(ROOT);
  for (const name of ['dist', 'config', 'package.json']) {
    cpSync(`${from}${name}`, `${root}/${name}`, { recursive: true, preserveTimestamps: true });
  }
  symlinkSync(`${from}node_modules`, `${root}/node_modules`);
  return root;
}

const accident = 'process.stdout.write = () => { throw Error("planted") };';

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @param flags of Node */
async function ask(root: string, words: string[], flags: string[] = []): Promise<Outcome> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  const options = { env, timeout: 30_000, cwd: root };
  try {
    const line = [...flags, `${root}/dist/cli.js`, ...words];
    return { code: 0, ...(await execute(process.execPath, line, options)) };
  } catch (error) {
    const { code, stdout, stderr } = error as Outcome;
    return { code, stdout, stderr };
  }
}

/** Where the command line has run, by the stack of a bug in it. */
async function whereIn(root: string, flags: string[] = []): Promise<string | undefined> {
  const plant = `--import=data:text/javascript,${encodeURIComponent(accident)}`;
  const { code, stderr } = await ask(root, ['--version'], [plant, ...flags]);
  const [, path] = /at main \((?:file:\/\/)?(\S+?):\d+:\d+\)/.exec(stderr) ?? [];
  return code === 1 ? path?.slice(root.length + 1) : stderr;
}

const configuration = `admin: { bind: "127.0.0.1:0" }
log: { level: error }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ respond: { status: 200, body: here } }] }
`;

/** What a proxy of that package answers. */
async function answersOf(t: Test, root: string): Promise<string[]> {
  writeFileSync(`${root}/run.yaml`, configuration);
  const words = ['run', '-c', `${root}/run.yaml`, '--workers', '1'];
  const headgate = await startHeadgate(words, { program: `${root}/dist/cli.js` });
  t.teardown(() => headgate.kill());
  const admin = await until(
    5_000,
    'the admin endpoint is named',
    () => /admin (http\S+)/.exec(headgate.context())?.[1],
  );
  const page = await (await fetch(`http://127.0.0.1:${headgate.port}/`)).text();
  const metrics = await (await fetch(`${admin}metrics`)).text();
  const build = metrics.split('\n').filter((line) => line.startsWith('headgate_build_info'));
  const { code } = await headgate.stop();
  return [page, ...build, `exit ${code}`];
}

t.test('bundles: the command line does the same as its modules', async (t) => {
  const root = copyOf(t);
  const path = `dist/${main}`;
  writeFileSync(`${root}/bad.yaml`, 'listeners: { web: { bnid: 1 } }');
  const seen: unknown[] = [];
  const look = async (): Promise<void> => {
    const commands = [
      ['--version'],
      ['check', '-c', `${root}/config/headgate.yaml`],
      ['check', '-c', 'bad.yaml'],
      ['schema'],
    ];
    const outcomes = commands.map((words) => ask(root, words));
    seen.push([...(await Promise.all(outcomes)), await answersOf(t, root)]);
  };
  t.equal(await whereIn(root), path);
  t.equal(await whereIn(root, ['--enable-source-maps']), 'src/cli/index.ts');
  await look();
  t.match(seen, [
    [{ code: 0 }, { code: 0 }, { code: 1 }, { code: 0 }, ['here', /version="\d/, 'exit 0']],
  ]);
  age(root, { [path]: 20, [STAMP]: 10 });
  t.equal(await whereIn(root), 'dist/cli/index.js', 'a module has changed since');
  await look();
  t.same(seen[1], seen[0]);
  rmSync(`${root}/dist/main`, { recursive: true });
  rmSync(`${root}/${STAMP}`);
  t.equal(await whereIn(root), 'dist/cli/index.js', 'built without');
});
