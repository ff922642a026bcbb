import type { CanonicalPath } from '../http/routing/index.js';

const SLASH = 0x2f;
const DOT = 0x2e;

/** What no name of a file has, or should have: a slash, a NUL, and the slash of other systems. */
const REFUSED = /%(?:2F|00|5C)/;

/**
 * Turns the path of a request into one below a root directory: the prefix of the route is exchanged, and `%XX`
 * is decoded, once.
 */
export class FilePath {
  /**
   * @param prefix what is replaced at the beginning, whole parts; neither ends in a slash
   * @param dotfiles names that begin with a dot are names like any other
   */
  constructor(
    private readonly prefix: { readonly from: string; readonly to: string } | null,
    private readonly dotfiles: boolean,
  ) {}

  /**
   * @param path as routes have compared it: no dot segments, no empty ones, `%XX` in capitals only where it
   *   is needed
   * @returns a path that begins with a slash, a character per byte; nothing for one that names no file
   */
  of(path: CanonicalPath): string | undefined {
    const raw = this.replacePrefix(path.string);
    const decoded = raw.includes('%') ? decode(raw) : raw;
    if (decoded === undefined || (!this.dotfiles && hasDotName(decoded))) return undefined;
    return decoded;
  }

  private replacePrefix(path: string): string {
    if (this.prefix === null || !path.startsWith(this.prefix.from)) return path;
    const { from, to } = this.prefix;
    if (from.length === path.length) return `${to}/`;
    return path.charCodeAt(from.length) === SLASH ? to + path.slice(from.length) : path;
  }
}

function decode(path: string): string | undefined {
  if (REFUSED.test(path)) return undefined;
  return path.replace(/%([0-9A-F]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

function hasDotName(path: string): boolean {
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    if (path.charCodeAt(at + 1) === DOT) return true;
  }
  return false;
}
