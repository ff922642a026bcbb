// The one gate: packages and build, format and lint, then every test (the house rules are tests too).
// `npm run check -- PATTERN…` runs only the test files whose path contains one of the patterns,
// `--without PATTERN` leaves those out that do.
// Ends with one line, `N passed, N failed`, and with exit code 0 only when nothing failed.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import './prepare.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin/`;
/** Tests that ask how long others had to wait: nothing may run beside them. */
const alone = ['integration/fairness'];
/** Test files at a time: many wait for timers, and those that work have both processors of a small machine. */
const jobs = Math.min(4, Math.max(2, availableParallelism()));
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
const groups = [
  { name: 'alone', jobs: 1, files: files.filter((file) => contains(file, alone)) },
  { name: 'together', jobs, files: files.filter((file) => !contains(file, alone)) },
];
const total = { passed: 0, failed: 0, skipped: 0 };
let status = 0;
for (const group of groups) {
  if (group.files.length === 0) continue;
  const results = `${root}build/results-${group.name}.tap`;
  const options = ['--reporter=terse', `--jobs=${group.jobs}`, `--output-file=${results}`];
  status = Math.max(status, run(`${bin}tap`, ['run', ...options, ...group.files]));
  const { passed, failed, skipped } = summary(readFileSync(results, 'utf8'));
  total.passed += passed;
  total.failed += failed;
  total.skipped += skipped;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(status);

function findTests() {
  return readdirSync(`${root}build/test`, { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => `build/test/${file}`)
    .sort();
}

function summary(tap) {
  const count = (pattern) => [...tap.matchAll(pattern)].length;
  const skipped = count(/^ *ok .*# SKIP/gim);
  return {
    passed: count(/^ *ok /gm) - skipped,
    failed: count(/^ *not ok /gm),
    skipped,
  };
}
