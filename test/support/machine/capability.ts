// What a test needs of the machine, and the skip that names what is missing. With HEADGATE_REQUIRE_TOOLS=1, as in CI,
// a test that would be skipped fails instead.
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { createKernel, errnoName, RingBatch } from '#src/splice/index.js';

export { findProgram, missingProgram } from './installed.js';

/** Debian's directory of PostgreSQL server programs, newest version first; they are not in PATH. */
export function postgresDirectory(): string {
  const versions = '/usr/lib/postgresql';
  try {
    const newest = readdirSync(versions).sort((one, other) => Number(other) - Number(one))[0];
    return `${versions}/${newest}/bin`;
  } catch {
    return versions;
  }
}

/** The reason for a skip when this process is not root. */
export function missingRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'not running as root';
}

/** The reason for a skip when this kernel has no io_uring, or does not let us. */
export function missingIoUring(): string | undefined {
  const batch = RingBatch.open(createKernel(), 1);
  if (typeof batch === 'number') return `no io_uring: ${errnoName(-batch)}`;
  batch.close();
  return undefined;
}

/** The reason for a skip when processes may not open `count` files. */
export function missingFiles(count: number): string | undefined {
  const limit = hardFileLimit();
  return limit >= count ? undefined : `the hard limit of open files is ${limit}`;
}

/** The hard limit of open files of this process, inherited by its children (getrlimit(2)). */
export function hardFileLimit(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? Infinity);
}

/** `t.test`, skipped with the reason `missing` where there is one. */
export function testWith(
  missing: string | undefined,
  name: string,
  options: { timeout: number },
  run: (t: Test) => Promise<void>,
): void {
  if (missing === undefined) t.test(name, options, run);
  else if (process.env.HEADGATE_REQUIRE_TOOLS === '1') t.test(name, async (t) => t.fail(missing));
  else t.test(name, { skip: missing }, run);
}

/** Ends `t`, before any assertion, as skipped for the reason `missing`: for what only trying can tell. */
export function giveUp(t: Test, missing: string): void {
  if (process.env.HEADGATE_REQUIRE_TOOLS === '1') t.fail(missing);
  else t.plan(0, missing);
}
