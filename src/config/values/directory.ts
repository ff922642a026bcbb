import { statSync } from 'node:fs';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const DIRECTORY = 'a directory';

/** Looks whether there is such a directory; a relative path begins at the working directory. */
export function parseDirectory(path: string): Parsed<string> {
  try {
    if (statSync(path).isDirectory()) return accepted(path);
    return refused(`it is not a directory, expected ${DIRECTORY}`);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isMissing = code === 'ENOENT' || code === 'ENOTDIR';
    const reason = isMissing
      ? 'there is no such directory'
      : `it can't be read: ${code ?? message}`;
    return refused(`${reason}, expected ${DIRECTORY}`);
  }
}
