// Programs of this machine; nothing of the test runner here, so that benchmarks may ask as well.
import { accessSync, constants } from 'node:fs';

/** The program `name` in PATH, the directories of system programs, or `directories`; undefined when absent. */
export function findProgram(name: string, ...directories: string[]): string | undefined {
  const path = (process.env.PATH ?? '').split(':');
  const candidates = [...directories, '/usr/sbin', '/sbin', '/usr/bin', '/bin', ...path];
  return candidates.map((directory) => `${directory}/${name}`).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The reason for a skip when one of `names` is not installed. */
export function missingProgram(
  names: readonly string[],
  ...directories: string[]
): string | undefined {
  const name = names.find((name) => findProgram(name, ...directories) === undefined);
  return name === undefined ? undefined : `${name} is not installed`;
}
