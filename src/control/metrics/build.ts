import { readFileSync } from 'node:fs';
import { release } from 'node:os';

/** What is running, and on what. */
export interface Build {
  /** Of the package. */
  readonly version: string;
  /** Without the leading `v`. */
  readonly node: string;
  /** As `uname -r` says. */
  readonly kernel: string;
}

export function thisBuild(): Build {
  const file = new URL('../../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
  return { version, node: process.versions.node, kernel: release() };
}
