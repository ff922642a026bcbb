import { readFileSync } from 'node:fs';

/**
 * The soft limit of open files (RLIMIT_NOFILE); Node has raised it to the hard one.
 * @returns `undefined` when there is none
 */
export function openFilesMax(): number | undefined {
  const line = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\d+)/m);
  return line === null ? undefined : Number(line[1]);
}
