import { readFileSync } from 'node:fs';

/**
 * The soft limit of open files (RLIMIT_NOFILE); Node has raised it to the hard one.
 *
 * @param path for tests
 * @returns infinite when there is none; `undefined` when nobody can tell, because `/proc` is not there
 */
export function openFilesMax(path = '/proc/self/limits'): number | undefined {
  try {
    const limit = /^Max open files\s+(\S+)/m.exec(readFileSync(path, 'utf8'))?.[1];
    if (limit === undefined) return undefined;
    return limit === 'unlimited' ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    return undefined;
  }
}
