// The one gate: packages and build, format and lint, then every test (the house rules are tests too).
// `npm run check -- PATTERN…` runs only the test files whose path contains one of the patterns,
// `--without PATTERN` leaves those out that do, `--skip-lint` format and lint, which are the same on every Node.
// With HEADGATE_TEST_MINUTES no file is begun after so many, but for those that failed; those left out are named.
// Ends with one line, `N passed, N failed, N skipped` (assertions, files, assertions), and with exit code 0
// only when no file failed twice.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import './prepare.mjs';

// Only now: on a fresh machine it is `prepare` that brings packages.
const { runTestFile } = await import('./test-file.mjs');
const { stringify } = await import('yaml');

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = `${root}node_modules/.bin/`;
/** Tests that ask how long others had to wait: nothing may run beside them. */
const alone = ['integration/fairness'];
/** They take half a minute and more: begun last, they would have a processor to themselves at the end. */
const long = [
  'ktls/kernel',
  'integration/bytes',
  'integration/drain',
  'control/capture/captures',
  'worker-slot-deaths',
  'half-close',
];
/** Test files at a time: many wait for timers, and those that work have both processors of a small machine. */
const jobs = Math.min(4, Math.max(2, availableParallelism()));
/** Files whose failure may have been an accident: more of them at once are a fault of ours. */
const acceptable = 3;
const minutes = Number(process.env.HEADGATE_TEST_MINUTES ?? Number.POSITIVE_INFINITY);
/** No file is begun after that; without a limit, never. */
const untilMs = Date.now() + minutes * 60_000;
const { values, positionals: patterns } = parseArgs({
  allowPositionals: true,
  options: {
    without: { type: 'string', multiple: true, default: [] },
    'skip-lint': { type: 'boolean', default: false },
  },
});

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 1, 2] });
  if (error) throw error;
  return status ?? 1;
}

const lint = () => run(`${bin}biome`, ['ci', '--error-on-warnings', '.']);
if (!values['skip-lint'] && lint() !== 0) process.exit(1);

const contains = (file, some) => some.some((pattern) => file.includes(pattern));
const files = findTests().filter(
  (file) => (patterns.length === 0 || contains(file, patterns)) && !contains(file, values.without),
);
if (files.length === 0) {
  console.error(`no test file matches ${patterns.join(', ')}`);
  process.exit(1);
}
const total = { passed: 0, skipped: 0 };
const leftOut = [];
const failing = [
  ...(await runTests(1, (file) => contains(file, alone))),
  ...(await runTests(jobs, (file) => !contains(file, alone))),
];
// A machine that stands still for a second fails a test that waits. What failed is shown above, named
// below, and run once more with nothing beside it; only many files, or a second failure, are no accident.
const still =
  failing.length <= acceptable
    ? await runTests(1, (file) => failing.includes(file), Number.POSITIVE_INFINITY)
    : failing;
const chance = failing.filter((file) => !still.includes(file));
for (const file of chance) console.log(`failed once, passed when run again: ${file}`);
for (const file of still) console.log(`failed: ${file}`);
for (const file of leftOut) console.log(`not run, for want of time: ${file}`);
const rest = leftOut.length > 0 ? `, ${leftOut.length} files not run` : '';
console.log(`${total.passed} passed, ${still.length} failed, ${total.skipped} skipped${rest}`);
process.exit(still.length > 0 || leftOut.length === files.length ? 1 : 0);

/** Runs those of the test files that are `wanted`, so many at a time; says how each went. @returns which of them failed */
async function runTests(jobs, wanted, endMs = untilMs) {
  const failed = [];
  const queue = files.filter(wanted);
  const next = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (Date.now() > endMs) {
        leftOut.push(file);
        continue;
      }
      const outcome = await runTestFile(file, root);
      total.passed += outcome.passed;
      total.skipped += outcome.skipped;
      tell(outcome);
      if (!outcome.isOk) failed.push(file);
    }
  };
  await Promise.all(Array.from({ length: jobs }, next));
  return failed;
}

function tell({ file, isOk, passed, skipped, failures, how, errors, seconds }) {
  const name = file.slice('build/'.length);
  const left = skipped > 0 ? `, ${skipped} skipped` : '';
  console.log(`${isOk ? 'ok' : 'not ok'} ${name} (${passed}${left}, ${seconds.toFixed(1)} s)`);
  if (isOk) return;
  for (const { fullname, name: last, diag } of failures) {
    console.log(`not ok: ${name} > ${fullname || last}\n${stringify(diag ?? {})}`);
  }
  console.log(`${name} ended with ${how}\n${errors}`);
}

function findTests() {
  return readdirSync(`${root}build/test`, { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => `build/test/${file}`)
    .sort((one, other) => placeOf(one) - placeOf(other) || (one < other ? -1 : 1));
}

/** The longest first, and what goes from end to end last: where time is short, parts are known to work that it is made of. */
function placeOf(file) {
  if (contains(file, long)) return 0;
  return file.includes('/integration/') ? 2 : 1;
}
