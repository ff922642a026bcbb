import { RE2JS } from 're2js';
import type { PathPatternSnapshot } from '../http-snapshot.js';
import type { CanonicalPath } from './canonical-path.js';

/** A pattern that the bytes of a path alone do not decide, and the routes that have it. */
interface Expression {
  readonly source: string;
  readonly compiled: RE2JS;
  readonly routes: number[];
}

/**
 * A node of a radix tree while it grows: a run of bytes, and what may follow. Routes are numbers in the
 * order of the configuration, and lists of them ascend.
 */
class Node {
  /** Routes whose exact path ends here. */
  readonly exact: number[] = [];
  /** Routes whose prefix ends here. */
  readonly prefix: number[] = [];
  /** Expressions whose literal beginning ends here. */
  readonly expressions: Expression[] = [];
  /** By first byte. */
  readonly children = new Map<number, Node>();

  constructor(public label: Buffer) {}

  child(byte: number): Node | undefined {
    return this.children.get(byte);
  }

  add(child: Node): void {
    this.children.set(child.label[0]!, child);
  }
}

// The eight numbers of a node in PackedTree.nodes: half a line of the processor's cache.
/** Where the label begins and ends in PackedTree.labels. Its first byte is known once the node is reached. */
const LABEL = 0;
const LABEL_END = 1;
/** The lowest first byte of a child, how many from it on have a slot, and where these begin. */
const LOWEST = 2;
const SPAN = 3;
const CHILDREN = 4;
/** Where in PackedTree.lists: 0 for none. */
const EXACT = 5;
const PREFIX = 6;
/** Where in PackedTree.expressions, −1 for none. */
const EXPRESSIONS = 7;

/**
 * A tree that has grown, in four arrays: with thousands of routes the look-up waits for memory more than for
 * anything else, and objects would have it wait several times a node.
 */
class PackedTree {
  readonly nodes: Int32Array;
  /** Offsets of nodes by first byte, 0 where none begins so: the root is nobody's child. */
  readonly children: Int32Array;
  /** Each with its length before it. */
  readonly lists: Int32Array;
  readonly labels: Uint8Array;
  readonly expressions: readonly (readonly Expression[])[];

  constructor(root: Node) {
    const nodes: number[] = [];
    const children: number[] = [];
    const lists: number[] = [0];
    const labels: number[] = [];
    const expressions: Expression[][] = [];
    const listOf = (routes: readonly number[]): number =>
      routes.length === 0 ? 0 : lists.push(routes.length, ...routes) - routes.length - 1;
    const place = (node: Node): number => {
      const offset = nodes.length;
      const bytes = [...node.children.keys()];
      const lowest = bytes.length === 0 ? 0 : Math.min(...bytes);
      const span = bytes.length === 0 ? 0 : Math.max(...bytes) - lowest + 1;
      const slots = children.length;
      for (let slot = 0; slot < span; slot++) children.push(0);
      nodes.push(labels.length, labels.push(...node.label), lowest, span, slots);
      nodes.push(listOf(node.exact), listOf(node.prefix));
      nodes.push(node.expressions.length === 0 ? -1 : expressions.push(node.expressions) - 1);
      for (const [byte, child] of node.children) children[slots + byte - lowest] = place(child);
      return offset;
    };
    place(root);
    this.nodes = Int32Array.from(nodes);
    this.children = Int32Array.from(children);
    this.lists = Int32Array.from(lists);
    this.labels = Uint8Array.from(labels);
    this.expressions = expressions;
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
  /** Made when somebody looks something up for the first time since a route was added. */
  private packed: PackedTree | undefined;
  /** Routes for any path, and without one. */
  private readonly anyPath: number[] = [];

  /** @param route higher than those added before */
  add(route: number, paths: readonly PathPatternSnapshot[]): void {
    this.packed = undefined;
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
    this.packed ??= new PackedTree(this.root);
    const { nodes, children, lists, labels, expressions } = this.packed;
    const { bytes, end } = path;
    let at = path.start;
    for (let node = 0; ; ) {
      const prefix = nodes[node + PREFIX]!;
      if (prefix > 0) found = firstListed(lists, prefix, found, test);
      const tried = nodes[node + EXPRESSIONS]!;
      if (tried >= 0) found = firstMatch(expressions[tried]!, path, found, test);
      if (at === end) {
        const exact = nodes[node + EXACT]!;
        return exact > 0 ? firstListed(lists, exact, found, test) : found;
      }
      const slot = bytes[at]! - nodes[node + LOWEST]!;
      if (slot < 0 || slot >= nodes[node + SPAN]!) return found;
      node = children[nodes[node + CHILDREN]! + slot]!;
      if (node === 0) return found;
      const labelEnd = nodes[node + LABEL_END]!;
      let labelAt = nodes[node + LABEL]!;
      if (at + labelEnd - labelAt > end) return found;
      for (at++, labelAt++; labelAt < labelEnd; at++, labelAt++) {
        if (bytes[at] !== labels[labelAt]) return found;
      }
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
        node.add(middle);
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

/** The same of a list in memory. @param at where its length is */
function firstListed(lists: Int32Array, at: number, best: number, test: RouteTest): number {
  const last = at + lists[at]!;
  for (let index = at + 1; index <= last; index++) {
    const route = lists[index]!;
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
export function globSource(text: string): string {
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
