// The one gate: packages and build, format and lint, then every test (the house rules are tests too).
// `npm run check -- PATTERN…` runs only the test files whose path contains one of the patterns,
// `--without PATTERN` leaves those out that do.
// Ends with one line, `N passed, N failed, N skipped` (assertions, files, assertions), and with exit code 0
// only when no file failed twice.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import './prepare.mjs';

// Only now: on a fresh machine it is `prepare` that brings packages.
const { Parser } = await import('tap-parser');
const { stringify } = await import('yaml');

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin/`;
/** Tests that ask how long others had to wait: nothing may run beside them. */
const alone = ['integration/fairness'];
/** Test files at a time: many wait for timers, and those that work have both processors of a small machine. */
const jobs = Math.min(4, Math.max(2, availableParallelism()));
/** Files whose failure may have been an accident: more of them at once are a fault of ours. */
const acceptable = 3;
const { values, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: { without: { type: 'string', multiple: true, default: [] } },
});

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 1, 2] });
  if (error) throw error;
  return status ?? 1;
}

if (run(`${bin}biome`, ['ci', '--error-on-warnings', '.']) !== 0) process.exit(1);

const contains = (file, some) => some.some((pattern) => file.includes(pattern));
const files = findTests().filter(
  (file) => (patterns.length === 0 || contains(file, patterns)) && !contains(file, values.without),
);
if (files.length === 0) {
  console.error(`no test file matches ${patterns.join(', ')}`);
  process.exit(1);
}
mkdirSync(`${root}build`, { recursive: true });
const total = { passed: 0, skipped: 0 };
const failing = [
  ...runTests('alone', 1, (file) => contains(file, alone)),
  ...runTests('together', jobs, (file) => !contains(file, alone)),
];
// A machine that stands still for a second fails a test that waits. What failed is shown above, named
// below, and run once more with nothing beside it; only many files, or a second failure, are no accident.
const still =
  failing.length <= acceptable ? runTests('again', 1, (file) => failing.includes(file)) : failing;
const chance = failing.filter((file) => !still.includes(file));
for (const file of chance) console.log(`failed once, passed when run again: ${file}`);
for (const file of still) console.log(`failed: ${file}`);
console.log(`${total.passed} passed, ${still.length} failed, ${total.skipped} skipped`);
process.exit(still.length > 0 ? 1 : 0);

/** Runs those of the test files that are `wanted`, so many at a time; shows what failed, and tells which files did. */
function runTests(name, jobs, wanted) {
  const some = files.filter(wanted);
  if (some.length === 0) return [];
  const results = `${root}build/results-${name}.tap`;
  rmSync(results, { force: true });
  const options = ['--reporter=terse', `--jobs=${jobs}`, `--output-file=${results}`];
  const status = run(`${bin}tap`, ['run', ...options, ...some]);
  const failed = new Set();
  for (const [kind, event] of Parser.parse(readFileSync(results, 'utf8'), { flat: true })) {
    if (kind === 'complete') for (const { name: file } of event.failures) failed.add(file);
    if (kind !== 'assert') continue;
    if (event.ok && !event.skip) total.passed++;
    if (event.skip) total.skipped++;
    if (!event.ok) console.log(`not ok: ${event.fullname}\n${stringify(event.diag ?? {})}`);
  }
  // Nothing named, and yet no success: whatever it was, it was not these files' doing.
  if (status !== 0 && failed.size === 0) throw new Error(`tap ended with ${status}`);
  return some.filter((file) => failed.has(file));
}

function findTests() {
  return readdirSync(`${root}build/test`, { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => `build/test/${file}`)
    .sort();
}
