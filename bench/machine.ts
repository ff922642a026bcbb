// Where a benchmark ran, and with what: the part of a result that makes it comparable.
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { firstLine } from './process.js';
import { openFilesMax } from './usage.js';

/** The checkout; this file runs as build/bench/machine.js. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Kernel, processors, limits and the versions of the tools, for the JSON and the line above the table. */
export async function describeMachine() {
  return {
    kernel: release(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    openFilesMax: openFilesMax(),
    pipeUserPagesSoft: Number(readFileSync('/proc/sys/fs/pipe-user-pages-soft', 'utf8')),
    node: process.version,
    koffi: packageVersion('node_modules/koffi/package.json'),
    iperf3: await firstLine('iperf3', '--version'),
    wrk: (await firstLine('wrk', '-v'))?.replace(/ Copyright.*/, '') ?? null,
    commit: await commit(),
  };
}

async function commit(): Promise<string | null> {
  const line = await firstLine('git', '-C', root, 'describe', '--always', '--dirty');
  return line === null || line.startsWith('fatal:') ? null : line;
}

/** The `version` of a package.json below the checkout, or null when it is not there. */
export function packageVersion(path: string): string | null {
  try {
    return JSON.parse(readFileSync(`${root}${path}`, 'utf8')).version;
  } catch {
    return null;
  }
}
