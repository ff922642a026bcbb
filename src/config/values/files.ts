import { readFileSync, statSync } from 'node:fs';
import { accepted, type Parsed, refused } from './parsed.js';

const BYTES_MAX = 4 * 1024 * 1024;

/**
 * The files that a configuration names, each read once while it is loaded: what was checked is what is
 * used. A relative path begins at the working directory.
 */
export class Files {
  readonly #known = new Map<string, Parsed<Buffer>>();

  read(path: string): Parsed<Buffer> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const found = readContent(path);
    this.#known.set(path, found);
    return found;
  }
}

/** Reads a file that is small, or else not the one that was meant. The reason has no "expected". */
export function readContent(path: string): Parsed<Buffer> {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) return refused('it is a directory');
    // Reading a pipe or a terminal could wait for ever.
    if (!stat.isFile()) return refused('it is not a regular file');
    if (stat.size > BYTES_MAX) {
      return refused(
        `it has ${stat.size} bytes, which is more than ${BYTES_MAX / 1024 / 1024} MiB`,
      );
    }
    return accepted(readFileSync(path));
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return refused(
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'there is no such file'
        : `it can't be read: ${code ?? message}`,
    );
  }
}
