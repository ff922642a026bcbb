import { RE2JS } from 're2js';
import type { PathPatternSnapshot } from '../http-snapshot.js';
import type { CanonicalPath } from './canonical-path.js';

/** A pattern that the bytes of a path alone do not decide, and the routes that have it. */
interface Expression {
  readonly source: string;
  readonly compiled: RE2JS;
  readonly routes: number[];
}

/** Up to this many children are looked through; more have a table. */
const SCANNED_MAX = 6;

/**
 * A node of a radix tree: a run of bytes, and what may follow. Routes are numbers in the order of the
 * configuration, and lists of them ascend.
 */
class Node {
  /** Routes whose exact path ends here. */
  readonly exact: number[] = [];
  /** Routes whose prefix ends here. */
  readonly prefix: number[] = [];
  /** Expressions whose literal beginning ends here. */
  readonly expressions: Expression[] = [];
  readonly children: Node[] = [];
  /** Child by first byte, where there are many. */
  private table: (Node | undefined)[] | undefined;

  constructor(public label: Buffer) {}

  child(byte: number): Node | undefined {
    if (this.table !== undefined) return this.table[byte];
    for (const child of this.children) if (child.label[0] === byte) return child;
    return undefined;
  }

  add(child: Node): void {
    this.children.push(child);
    if (this.table !== undefined) this.table[child.label[0]!] = child;
    else if (this.children.length > SCANNED_MAX) {
      this.table = Array.from({ length: 256 }, () => undefined);
      for (const one of this.children) this.table[one.label[0]!] = one;
    }
  }

  replace(child: Node, by: Node): void {
    this.children[this.children.indexOf(child)] = by;
    if (this.table !== undefined) this.table[by.label[0]!] = by;
  }
}

/** Whether a route is for the request, as far as its path is not asked. */
export interface RouteTest {
  fits(route: number): boolean;
}

/** What {@link PathTrie.first} answers when no route fits. */
export const NO_ROUTE = 0x3fffffff;

/**
 * Finds the first route by path. A look-up walks the bytes of the path once, whatever the number of
 * routes; only expressions whose literal beginning is the path's are tried, and they take time linear
 * in the path.
 */
export class PathTrie {
  private readonly root = new Node(Buffer.alloc(0));
  /** Routes for any path, and without one. */
  private readonly anyPath: number[] = [];

  /** @param route higher than those added before */
  add(route: number, paths: readonly PathPatternSnapshot[]): void {
    if (paths.length === 0) this.anyPath.push(route);
    for (const { kind, text } of paths) {
      if (kind === 'exact') append(this.nodeFor(text).exact, route);
      else if (kind === 'prefix') append(this.nodeFor(text).prefix, route);
      else this.addExpression(route, kind === 'glob' ? globSource(text) : text);
    }
  }

  /**
   * @param path undefined for a request without one: `*`, and CONNECT
   * @param best a route that is found already: only one before it is of interest
   * @returns the first route that fits, or `best`
   */
  first(path: CanonicalPath | undefined, best: number, test: RouteTest): number {
    let found = firstOf(this.anyPath, best, test);
    if (path === undefined) return found;
    const { bytes, end } = path;
    let at = path.start;
    for (let node: Node | undefined = this.root; ; ) {
      if (node.prefix.length > 0) found = firstOf(node.prefix, found, test);
      if (node.expressions.length > 0) found = firstMatch(node.expressions, path, found, test);
      if (at === end) return node.exact.length > 0 ? firstOf(node.exact, found, test) : found;
      node = node.child(bytes[at]!);
      if (node === undefined) return found;
      const { label } = node;
      if (at + label.length > end) return found;
      for (let index = 1; index < label.length; index++) {
        if (bytes[at + index] !== label[index]) return found;
      }
      at += label.length;
    }
  }

  private addExpression(route: number, source: string): void {
    const { expressions } = this.nodeFor(literalPrefix(source));
    const known = expressions.find((one) => one.source === source);
    if (known !== undefined) append(known.routes, route);
    else expressions.push({ source, compiled: RE2JS.compile(source), routes: [route] });
  }

  /** The node at which `text` ends, made if there is none. */
  private nodeFor(text: string): Node {
    let rest = Buffer.from(text, 'latin1');
    let node = this.root;
    while (rest.length > 0) {
      const child = node.child(rest[0]!);
      if (child === undefined) {
        const leaf = new Node(rest);
        node.add(leaf);
        return leaf;
      }
      const shared = sharedLength(child.label, rest);
      if (shared < child.label.length) {
        const middle = new Node(child.label.subarray(0, shared));
        node.replace(child, middle);
        child.label = child.label.subarray(shared);
        middle.add(child);
        node = middle;
      } else {
        node = child;
      }
      rest = rest.subarray(shared);
    }
    return node;
  }
}

/** The first of ascending `routes` that is before `best` and fits. */
function firstOf(routes: readonly number[], best: number, test: RouteTest): number {
  for (const route of routes) {
    if (route >= best) return best;
    if (test.fits(route)) return route;
  }
  return best;
}

function firstMatch(
  expressions: readonly Expression[],
  path: CanonicalPath,
  best: number,
  test: RouteTest,
): number {
  let found = best;
  for (const { compiled, routes } of expressions) {
    if (routes[0]! >= found) continue;
    if (compiled.test(path.string)) found = firstOf(routes, found, test);
  }
  return found;
}

/** A route may have the same pattern twice. */
function append(routes: number[], route: number): void {
  if (routes.at(-1) !== route) routes.push(route);
}

/** A pattern with `*` and `**` as a regular expression. */
function globSource(text: string): string {
  const source = text.replace(/\/\*\*\/|\*{1,2}|[.+?()[\]{}|^$\\]/g, (part) => {
    switch (part) {
      case '/**/':
        return '/(?:.*/)?';
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      default:
        return `\\${part}`;
    }
  });
  return `^${source}$`;
}

/** What a path must begin with for the expression to match; empty where that is not plain to see. */
function literalPrefix(source: string): string {
  const [, literal = '', next = ''] = /^\^([\w/~!%&'=:@,;-]*)(.?)/s.exec(source) ?? [];
  // An alternative means that the beginning may be another; a quantifier is for the last letter.
  if (source.includes('|')) return '';
  return /[*+?{]/.test(next) ? literal.slice(0, -1) : literal;
}

function sharedLength(one: Buffer, other: Buffer): number {
  const most = Math.min(one.length, other.length);
  let length = 0;
  while (length < most && one[length] === other[length]) length++;
  return length;
}
