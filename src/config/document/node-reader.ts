import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { type Environment, resolveScalar, substitute } from './environment.js';
import { keyPointer, ROOT } from './pointer.js';
import { type Complaint, DEPTH_MAX } from './syntax.js';

/** A stretch of the text, from its first character to after its last one. */
export interface Span {
  start: number;
  end: number;
}

/** Where a value is written. An item of a list and the root have no key. */
export interface Place {
  key: Span | null;
  value: Span;
  /** The environment variables the value comes from. */
  variables: readonly string[];
}

// Aliases of aliases can make a small file a big value, and a flat one deep.
const VALUES_MAX = 100_000;
/** The prefix of the tags of YAML's own types: `!!str` and the like. */
const CORE_TAGS = 'tag:yaml.org,2002:';

/**
 * Turns the nodes of a YAML document into a plain value: aliases followed, merge keys merged, variables
 * substituted, and the place of everything noted. A value reached through an alias is placed where it is
 * written, except that the alias itself is the place of what it stands for.
 */
export class NodeReader {
  readonly places = new Map<string, Place>();
  readonly complaints: Complaint[] = [];
  readonly unreadable = new Set<string>();
  readonly #targets: ReadonlyMap<Alias, Node>;
  readonly #pairsOf = new Map<YAMLMap, ReadonlyMap<string, Pair>>();
  readonly #open = new Set<Node>();
  #values = 0;

  constructor(
    private readonly document: Document,
    private readonly text: string,
    private readonly environment: Environment,
    private readonly position: (offset: number) => { line: number },
  ) {
    this.#targets = aliasTargets(document);
  }

  read(): unknown {
    return this.#read(this.document.contents as Node | null, ROOT, null);
  }

  #read(node: Node | null, pointer: string, key: Span | null): unknown {
    const span = spanOf(node) ?? { start: 0, end: 0 };
    // The nothing after `key:` is best shown at its key.
    const place: Place = {
      key,
      value: span.end > span.start ? span : (key ?? span),
      variables: [],
    };
    this.places.set(pointer, place);
    this.#values += 1;
    if (this.#values > VALUES_MAX) return this.#refuseMore(pointer);
    const target = isAlias(node) ? this.#targets.get(node) : node;
    if (target === undefined) return this.#refuse(pointer, unknownAlias(node as Alias));
    if (isScalar(target)) return this.#readScalar(target, pointer, place);
    if (!isMap(target) && !isSeq(target)) return null;
    if (this.#open.has(target)) {
      return this.#refuse(pointer, 'an alias inside its own anchor, expected a finite value');
    }
    if (this.#open.size >= DEPTH_MAX) {
      return this.#refuse(pointer, `nested more than ${DEPTH_MAX} deep, expected a few levels`);
    }
    this.#open.add(target);
    const value = isMap(target)
      ? this.#readMap(target, pointer)
      : this.#readSequence(target, pointer);
    this.#open.delete(target);
    return value;
  }

  #readScalar(scalar: Scalar, pointer: string, place: Place): unknown {
    const { value, tag } = scalar;
    // The parser has complained about a tag it does not know; `!` alone says “a string” (YAML 1.2 §6.9.1).
    if (tag && tag !== '!' && !tag.startsWith(CORE_TAGS)) return this.#giveUp(pointer);
    if (typeof value !== 'string' || !value.includes('${')) return value;
    const { text, whole, variables, failures } = substitute(value, this.environment);
    place.variables = variables;
    const { start, end } = spanOf(scalar) ?? place.value;
    const source = this.text.slice(start, end);
    let from = 0;
    for (const { piece, message } of failures) {
      // Escapes in a quoted string can hide the piece; then the string is its place.
      const index = source.indexOf(piece, from);
      if (index >= 0) from = index + 1;
      this.complaints.push({ offset: start + Math.max(index, 0), message });
    }
    if (failures.length > 0) return this.#giveUp(pointer);
    // `!!str ${NAME}` keeps a number a string, as `!!str 5` does.
    return whole && !tag ? resolveScalar(text) : text;
  }

  #readSequence(sequence: YAMLSeq, pointer: string): unknown[] {
    return sequence.items.map((item, index) =>
      this.#read(isNode(item) ? item : null, `${pointer}/${index}`, null),
    );
  }

  #readMap(map: YAMLMap, pointer: string): Record<string, unknown> {
    const value: Record<string, unknown> = {};
    for (const [name, { key, value: node }] of this.#pairs(map)) {
      const read = this.#read(isNode(node) ? node : null, keyPointer(pointer, name), spanOf(key));
      // Assigning to `__proto__` would not make a key.
      const own = { value: read, enumerable: true, writable: true, configurable: true };
      Object.defineProperty(value, name, own);
    }
    return value;
  }

  /** The pairs of a mapping by name: its own first, then what merge keys (`<<`) add to them. */
  #pairs(map: YAMLMap): ReadonlyMap<string, Pair> {
    const known = this.#pairsOf.get(map);
    if (known) return known;
    const pairs = new Map<string, Pair>();
    const merges: Pair[] = [];
    this.#pairsOf.set(map, pairs);
    for (const pair of map.items) {
      const name = keyName(pair.key);
      if (isMergeKey(pair.key)) {
        merges.push(pair);
      } else if (name === null) {
        const offset = spanOf(pair.key)?.start ?? 0;
        this.complaints.push({ offset, message: 'a key that is not a name, expected key: value' });
      } else if (pairs.has(name)) {
        const first = this.position(spanOf(pairs.get(name)!.key)?.start ?? 0).line;
        const message = `duplicate key ${JSON.stringify(name)}, already on line ${first}, expected it once`;
        this.complaints.push({ offset: spanOf(pair.key)?.start ?? 0, message });
      } else {
        pairs.set(name, pair);
      }
    }
    for (const merge of merges) this.#merge(merge, pairs);
    return pairs;
  }

  #merge(merge: Pair, pairs: Map<string, Pair>): void {
    const source = this.#follow(merge.value);
    for (const item of isSeq(source) ? source.items : [merge.value]) {
      const from = this.#follow(item);
      if (!isMap(from) || this.#open.has(from) || this.#open.size >= DEPTH_MAX) {
        const message =
          from === undefined && isAlias(item)
            ? unknownAlias(item)
            : 'a merge key (<<) of something else, expected an alias of another mapping';
        this.complaints.push({ offset: spanOf(merge.key)?.start ?? 0, message });
        continue;
      }
      this.#open.add(from);
      for (const [name, pair] of this.#pairs(from)) {
        if (!pairs.has(name) && this.#values < VALUES_MAX) {
          pairs.set(name, pair);
          this.#values += 1;
        }
      }
      this.#open.delete(from);
    }
  }

  #follow(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node;
  }

  #refuseMore(pointer: string): null {
    const message = `more than ${VALUES_MAX} values, aliases counted each time, expected fewer`;
    if (this.#values === VALUES_MAX + 1) this.complaints.push({ offset: 0, message });
    return this.#giveUp(pointer);
  }

  #refuse(pointer: string, message: string): null {
    this.complaints.push({ offset: this.places.get(pointer)!.value.start, message });
    return this.#giveUp(pointer);
  }

  #giveUp(pointer: string): null {
    this.unreadable.add(pointer);
    return null;
  }
}

function unknownAlias({ source }: Alias): string {
  return `unknown alias *${source}, expected an anchor &${source} before it, or quotes: "*${source}"`;
}

/** For each alias the node of the last anchor of that name before it. */
function aliasTargets(document: Document): Map<Alias, Node> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  visit(document, {
    Node(_, node) {
      if (isAlias(node)) {
        const target = anchors.get(node.source);
        if (target) targets.set(node, target);
      } else if (node.anchor) {
        anchors.set(node.anchor, node);
      }
    },
  });
  return targets;
}

/** A key as the file spells it (`8080:` is "8080"), or null for one that is a list, a mapping or an alias. */
function keyName(key: unknown): string | null {
  if (!isScalar(key)) return null;
  return typeof key.value === 'string' ? key.value : (key.source ?? '');
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.source === '<<';
}

function spanOf(node: unknown): Span | null {
  const range = isNode(node) && !isPair(node) ? node.range : null;
  return range ? { start: range[0], end: range[1] } : null;
}
