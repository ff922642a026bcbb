import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { accepted, type Parsed, refused } from './parsed.js';

/** What is expected where a file is named that lines are appended to. */
export const APPENDED_FILE = 'a file that can be written to';

/**
 * Whether lines can be appended to a file, as far as that can be told without making it. A relative path
 * begins at the working directory.
 */
export function readAppendedFile(path: string): Parsed<string> {
  if (path === '') return refused(`no file, expected ${APPENDED_FILE}`);
  try {
    if (statSync(path).isDirectory())
      return refused(`it is a directory, expected ${APPENDED_FILE}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? readDirectory(path) : unusable(error);
  }
  try {
    accessSync(path, constants.W_OK);
    return accepted(path);
  } catch (error) {
    return unusable(error);
  }
}

/** The file is not there: it will be made, if its directory allows. */
function readDirectory(path: string): Parsed<string> {
  const directory = dirname(path);
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return accepted(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return refused(`there is no such directory, expected ${APPENDED_FILE}`);
    return refused(`it can't be made in its directory (${code}), expected ${APPENDED_FILE}`);
  }
}

function unusable(error: unknown): Parsed<string> {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOTDIR') return refused(`there is no such directory, expected ${APPENDED_FILE}`);
  return refused(`it can't be written to (${code ?? message}), expected ${APPENDED_FILE}`);
}
