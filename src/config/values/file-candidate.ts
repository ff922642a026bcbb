import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const CANDIDATE =
  'a path below the root that begins with "/" or with $path, which is the path of the request';

const PATH = '$path';

/**
 * Reads where a file is looked for.
 * @returns the texts before, between and behind the path of the request, a character per byte
 */
export function parseCandidate(text: string): Parsed<string[]> {
  const parts = Buffer.from(text).toString('latin1').split(PATH);
  const [first] = parts as [string];
  if (!first.startsWith('/') && (first !== '' || parts.length === 1)) {
    return refused(`no "/" and no ${PATH} at the beginning, expected ${CANDIDATE}`);
  }
  if (text.replaceAll(PATH, '').includes('$')) {
    return refused(`"$" that does not begin ${PATH}, expected ${CANDIDATE}`);
  }
  if (text.includes('\0')) return refused(`a NUL character, expected ${CANDIDATE}`);
  if (parts.some((part) => /(^|\/)\.\.(\/|$)/.test(part))) {
    return refused(`".." as a part, which no path below the root has, expected ${CANDIDATE}`);
  }
  return accepted(parts);
}
