import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const PATH_PATTERN = 'a path that begins with "/", with "*" and "**" as wildcards';
export const PATH = 'a path that begins with "/"';

/** How a pattern is compared with the path of a request, both in the same spelling. */
export interface PathPattern {
  /**
   * `exact`: the whole path; `prefix`: its beginning; `glob`: `*` is anything but a slash, `**` is
   * anything at all.
   */
  readonly kind: 'exact' | 'prefix' | 'glob';
  /** Without the final `*` of a prefix. */
  readonly text: string;
}

/** Characters that a path may have as they are: `pchar` and the slash, RFC 3986 §3.3. */
const PLAIN = /[\w.~!$&'()*+,;=:@/-]/;

/** Reads a pattern: `/exact`, `/prefix/*`, or with wildcards elsewhere. */
export function parsePathPattern(text: string): Parsed<PathPattern> {
  const path = parsePath(text, PATH_PATTERN);
  if (!path.ok) return path;
  const spelling = path.value;
  const star = spelling.indexOf('*');
  if (star < 0) return accepted({ kind: 'exact', text: spelling });
  // At the end, one star reaches as far as two: "/v1/*" is everything below.
  const head = spelling.replace(/\*{1,2}$/, '');
  if (!head.includes('*')) return accepted({ kind: 'prefix', text: head });
  if (/\*{3}/.test(spelling)) return refused(`three "*" in a row, expected ${PATH_PATTERN}`);
  return accepted({ kind: 'glob', text: spelling });
}

/**
 * Reads a path, and spells it as the paths of requests are before they are compared: what may stand as
 * it is stands as it is, everything else as `%XX`, no dot segments.
 */
export function parsePath(text: string, expected = PATH): Parsed<string> {
  if (!text.startsWith('/')) return refused(`no "/" at the beginning, expected ${expected}`);
  if (/[?#]/.test(text)) return refused(`a "?" or "#", expected the path alone: ${expected}`);
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) {
    return refused(`a "%" without two hexadecimal digits, expected ${expected}`);
  }
  if (/(^|\/)\.{1,2}(\/|$)/.test(text)) {
    return refused(
      `"." or ".." as a part, which no path has when it is compared, expected ${expected}`,
    );
  }
  if (text.includes('//')) return refused(`an empty part ("//"), expected ${expected}`);
  return accepted(canonical(text));
}

function canonical(text: string): string {
  return text.replace(/%[0-9A-Fa-f]{2}|[^%]/gu, (unit) => {
    if (unit.length === 3 && unit.startsWith('%')) {
      const character = String.fromCharCode(Number.parseInt(unit.slice(1), 16));
      // A slash that is part of a name, and a star that is no wildcard, stay apart from the others.
      const isPlain = PLAIN.test(character) && character !== '/' && character !== '*';
      return isPlain ? character : unit.toUpperCase();
    }
    if (PLAIN.test(unit)) return unit;
    return [...Buffer.from(unit)].map((byte) => `%${hex(byte)}`).join('');
  });
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
