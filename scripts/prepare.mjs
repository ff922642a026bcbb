// Brings a checkout to the state in which it runs: packages installed, TypeScript compiled.
// Plain JavaScript without dependencies, because it runs before there are any; says nothing when
// there is nothing to do. `npm start`, `npm test` and `npm run bench` all begin here.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = `${root}node_modules`;
const dist = `${root}dist`;
const stamp = `${modules}/.headgate-lock`;
/** What bundle.mjs makes of dist's modules; no source has their names. */
const bundled = /^(main\/|recorder\.js|worker\.js)/;

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** What a source that was moved or deleted has left: tsc keeps it, the package would have it, and tests of it would run. */
function removeLeftovers(output, source) {
  if (!existsSync(output)) return;
  for (const name of readdirSync(output, { recursive: true })) {
    const [, stem] = /^(.*?)(\.d\.ts|\.js)(\.map)?$/.exec(name) ?? [];
    if (stem === undefined || existsSync(`${source}/${stem}.ts`)) continue;
    if (output !== dist || !bundled.test(name)) rmSync(`${output}/${name}`);
  }
}

// A linked node_modules is somebody else's, and `npm ci` would empty it through the link.
const isBorrowed = lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

if (!isBorrowed && existsSync(`${root}package-lock.json`)) {
  const lock = createHash('sha256')
    .update(readFileSync(`${root}package-lock.json`))
    .digest('hex');
  // The stamp, not node_modules' own time: packages added by hand (another Node, say) may stay.
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lock) {
    console.error('headgate: installing packages (npm ci)');
    run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
    // tap's TypeScript plugin does not know TypeScript 7: .taprc leaves it out, and tap is rebuilt without.
    if (existsSync(`${root}node_modules/.bin/tap`)) run(`${root}node_modules/.bin/tap`, ['build']);
    writeFileSync(stamp, lock);
  }
}

if (existsSync(`${root}src`)) {
  removeLeftovers(dist, `${root}src`);
  for (const kind of ['test', 'bench']) removeLeftovers(`${root}build/${kind}`, `${root}${kind}`);
  run(process.execPath, [`${root}node_modules/typescript/bin/tsc`, '-b', '.', 'test', 'bench']);
  const { bundles, isFresh } = await import('../dist/bundles.js');
  const isStale = (file) => !isFresh(pathToFileURL(`${dist}/${file}`));
  if (Object.keys(bundles).some(isStale)) await import('./bundle.mjs');
  const check = 'schema-check.cjs';
  const schemaMs = statSync(`${root}config/schema.json`).mtimeMs;
  if (isStale(check) || statSync(`${dist}/${check}`).mtimeMs < schemaMs) {
    await import('./schema-check.mjs');
  }
  // As npm does with an installed package: in a clone `npx headgate` runs this file.
  chmodSync(`${root}dist/cli.js`, 0o755);
}
