import { RE2JS } from 're2js';
import type { PathPatternSnapshot } from '../http/index.js';
import { globSource } from '../http/routing/index.js';

/** Characters that stand for themselves in a path as patterns are written: see `CanonicalPath`. */
const OTHERS = /[^\w.~!$&'()+,;=:@/-]/g;

/** The spelling in which paths are compared. @param path a character per byte */
export function spellPath(path: string): string {
  return path.replace(
    OTHERS,
    (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

/** A pattern for paths of files; each is asked once for each file that is opened. */
export class PathPattern {
  private readonly expression: RE2JS | undefined;

  constructor(private readonly pattern: PathPatternSnapshot) {
    const { kind, text } = pattern;
    if (kind === 'glob') this.expression = RE2JS.compile(globSource(text), RE2JS.DOTALL);
    else if (kind === 'regex') this.expression = RE2JS.compile(text);
  }

  /** @param path as {@link spellPath} spells it */
  fits(path: string): boolean {
    const { kind, text } = this.pattern;
    if (this.expression !== undefined) return this.expression.matcher(path).find();
    return kind === 'exact' ? path === text : path.startsWith(text);
  }
}
