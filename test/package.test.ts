import { execFile } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { bundles as made } from '#src/bundles.js';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const text = (path: string): string => readFileSync(join(root, path), 'utf8');
/** Without tap's loader, which slows them down. */
const env = { ...process.env, NODE_OPTIONS: '' };
const bundles = [...Object.keys(made), 'schema-check.cjs'].map((file) => `dist/${file}`);
const manifest = JSON.parse(text('package.json'));

/** What `npm pack` would put into the package, without running prepack: paths from its root. */
function packed(): Promise<Set<string>> {
  listing ??= list();
  return listing;
}

let listing: Promise<Set<string>> | undefined;

async function list(): Promise<Set<string>> {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const { stdout } = await execute('npm', args, { cwd: root, env, maxBuffer: 64 * 1024 * 1024 });
  const [{ files }] = JSON.parse(stdout);
  return new Set(files.map(({ path }: { path: string }) => path));
}

/** Every path in a manifest's field, however deep. */
function pathsIn(value: unknown): string[] {
  if (typeof value === 'string') return [posix.normalize(value)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(pathsIn) : [];
}

t.test('package: all that is needed, and nothing else', async (t) => {
  const files = await packed();
  const { bin, main, types, exports } = manifest;
  for (const path of pathsIn({ bin, main, types, exports })) t.ok(files.has(path), path);
  for (const path of ['LICENSE', 'README.md', 'config/schema.json', ...bundles]) {
    t.ok(files.has(path), path);
  }
  const rooms = ['dist/', 'src/', 'config/', 'docs/', 'examples/'];
  const others = [...files].filter((path) => !rooms.some((room) => path.startsWith(room)));
  t.same(others.sort(), ['LICENSE', 'README.md', 'package.json']);
  t.same(
    [...files].filter((path) => /\.test\.|tsbuildinfo/.test(path)),
    [],
  );
});

t.test('package: maps lead to sources that are in it', async (t) => {
  const files = await packed();
  const maps = [...files].filter((path) => path.endsWith('.js.map'));
  t.ok(maps.length > 100, 'there are maps');
  const missing = maps.flatMap((path) =>
    (JSON.parse(text(path)).sources as string[])
      .map((source) => posix.join(dirname(path), source))
      .filter((source) => !files.has(source)),
  );
  t.same(missing, []);
});

t.test('package: links of its documents lead somewhere in it', async (t) => {
  const files = [...(await packed())];
  for (const path of files.filter((path) => path.endsWith('.md'))) {
    for (const [, link] of text(path).matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
      const target = posix.join(dirname(path), link!);
      t.ok(
        files.some((file) => file === target || file.startsWith(`${target}/`)),
        `${path} → ${link}`,
      );
    }
  }
});

t.test('package: what is in it runs, as one file', async (t) => {
  const installed = t.testdir({});
  for (const path of await packed()) {
    if (/^src|\.(d\.ts|map)$/.test(path)) continue;
    mkdirSync(join(installed, dirname(path)), { recursive: true });
    copyFileSync(join(root, path), join(installed, path));
  }
  // Its dependencies are found further up.
  rmSync(join(installed, 'dist/cli'), { recursive: true });
  const run = (...words: string[]) =>
    execute(process.execPath, [join(installed, 'dist/cli.js'), ...words], { env, cwd: '/' });
  t.equal((await run('--version')).stdout, `${manifest.version}\n`);
  const example = join(installed, 'config/headgate.yaml');
  t.match((await run('check', '-c', example)).stdout, /headgate.yaml: ok\n/);
});

/** A project beside an installed package: what its compiler says. */
async function compile(t: Test, options: Record<string, unknown>, source: string): Promise<string> {
  const project = t.testdir({});
  mkdirSync(join(project, 'node_modules'));
  symlinkSync(root, join(project, 'node_modules/headgate'));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(project, 'program.ts'), source);
  const compilerOptions = {
    ...{ target: 'es2022', strict: true, exactOptionalPropertyTypes: true, skipLibCheck: false },
    ...{ declaration: true, outDir: 'out', rootDir: '.', ...options },
  };
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['program.ts'] }),
  );
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  try {
    const { stdout } = await execute(process.execPath, [tsc, '-p', project], { env });
    t.ok(existsSync(join(project, 'out/program.d.ts')), 'its own types can be written down');
    return stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

const program = `
import * as headgate from 'headgate';
import * as splice from 'headgate/splice';
const kernel = splice.createKernel();
export const room = splice.createPumpRoom(kernel);
export const everything = { ...splice };
export const loaded = headgate.loadConfig('');
export const read = headgate.readConfig('');
export const { upstreams, captures } = (await headgate.start('')).stats();
// Their types are there, and not "any" for want of Node's.
// @ts-expect-error
new splice.NativeMemory(4).bytes.nothing();
// @ts-expect-error
splice.copyFile(kernel, 'a', 'b');
`;

for (const [name, options] of [
  ['nodenext', { module: 'nodenext', moduleResolution: 'nodenext' }],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
] as const) {
  t.test(`package: its types, strictly, for a project of its own (${name})`, async (t) => {
    t.equal(await compile(t, options, program), '');
  });
  t.test(`package: a project that says nothing of Node’s types (${name})`, async (t) => {
    const source = program.replace(/.*headgate\..*|.*'headgate';/g, '');
    t.equal(await compile(t, { ...options, types: [] }, source), '');
  });
}
