import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Config } from '../../config/index.js';
import type { Check } from '../machine/index.js';

const { R_OK, W_OK, X_OK } = constants;
/** Below this a file system counts as full: captures would not last a minute. */
const FREE_BYTES_MIN = 64 * 1024 * 1024;
const MIB = 1024 * 1024;

/** What there is to say about each directory that a configuration captures to; `low` is what may be in the way. */
export function captureChecks({ listeners }: Config): Check[] {
  const directories = new Set(listeners.flatMap(({ capture }) => capture?.directory ?? []));
  return [...directories].map((directory) => {
    const name = `capture ${directory}`;
    try {
      return { name, state: 'ok', detail: look(resolve(directory)) };
    } catch (error) {
      return { name, state: 'low', detail: (error as Error).message };
    }
  });
}

/** @throws Error with what is wrong */
function look(directory: string): string {
  const there = nearest(directory);
  const stat = statSync(there);
  if (!stat.isDirectory()) throw new Error(`${there} is not a directory`);
  const isThere = there === directory;
  try {
    accessSync(there, isThere ? R_OK | W_OK | X_OK : W_OK | X_OK);
  } catch {
    throw new Error(`${there} is not writable for user ${process.getuid!()}`);
  }
  const { bavail, bsize } = statfsSync(there);
  const free = `${Math.floor((bavail * bsize) / MIB)} MiB free`;
  if (bavail * bsize < FREE_BYTES_MIN) throw new Error(`its file system is full: ${free}`);
  if (isThere && (stat.mode & 0o077) !== 0) {
    throw new Error(`others may look into it, or more: mode ${(stat.mode & 0o777).toString(8)}`);
  }
  return isThere ? free : `${free}; it will be made`;
}

/** The directory, or the one above it that is there. */
function nearest(directory: string): string {
  const parent = dirname(directory);
  return existsSync(directory) || parent === directory ? directory : nearest(parent);
}
