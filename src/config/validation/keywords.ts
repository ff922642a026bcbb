import type { FuncKeywordDefinition } from 'ajv';
import {
  APPENDED_FILE,
  accepted,
  CANDIDATE,
  CERTIFICATE_FILE,
  type CipherListKind,
  cipherLists,
  DIRECTORY,
  DURATION,
  ENDPOINT_TARGET,
  expectedWord,
  FIELD_PATTERN,
  FORWARD_TARGET,
  HOST,
  HOST_FIELD,
  HOST_PATTERN,
  HOST_TEMPLATE,
  LISTEN_ADDRESS,
  NETWORK,
  PASSWORD_HASH,
  PATH,
  PATH_PATTERN,
  type Parsed,
  PEER_NAME,
  parseBindAddress,
  parseCandidate,
  parseCipherList,
  parseDirectory,
  parseDuration,
  parseEndpointTarget,
  parseForwardTarget,
  parseHostAddress,
  parseHostField,
  parseHostPattern,
  parseHostTemplate,
  parseListenAddress,
  parseNetwork,
  parsePasswordHash,
  parsePath,
  parsePathPattern,
  parsePeerName,
  parseRegularExpression,
  parseRemovableField,
  parseServerName,
  parseSize,
  parseStatusRanges,
  parseSubjectName,
  parseTemplate,
  REGULAR_EXPRESSION,
  readAppendedFile,
  readCertificateFile,
  refused,
  SERVER_NAME,
  SIZE,
  STATUS_RANGES,
  SUBJECT_NAME,
  TEMPLATE,
} from '../values/index.js';
import type { JsonSchema } from './expectation.js';

/** Bounds of a quantity, written as in the file. */
export interface Bounds {
  from: string;
  to: string;
}

/** What the schema's own keywords, beyond those of JSON Schema, are given as arguments. */
export interface KeywordArguments {
  duration: Bounds;
  size: Bounds;
  address: 'bind' | 'listen' | 'endpoint';
  network: true;
  host: true;
  statuses: 'http';
  file: 'certificates' | 'appended';
  /** The top-level key whose keys are the names that may be referred to. */
  reference: string;
  serverName: true;
  hostPattern: true;
  forwardTarget: true;
  path: true;
  pathPattern: true;
  regularExpression: true;
  template: 'request' | 'response' | 'host';
  hostField: true;
  peerName: true;
  fieldName: 'removable';
  directory: true;
  candidate: true;
  passwordHash: true;
  subjectName: true;
  cipherList: CipherListKind;
}

/** A keyword of our own: a kind of text. It gives its own reason when it refuses a value. */
interface Keyword<Argument> {
  /** The types it reads; ajv itself refuses the others. */
  types: ('string' | 'number')[];
  /** What was expected, as a noun phrase. */
  expected(argument: Argument): string;
  parse(text: string, argument: Argument, root: unknown): Parsed<unknown>;
}

const addressParsers = {
  bind: parseBindAddress,
  listen: parseListenAddress,
  endpoint: parseEndpointTarget,
} as const;

const fileKinds = {
  certificates: { expected: CERTIFICATE_FILE, parse: readCertificateFile },
  appended: { expected: APPENDED_FILE, parse: readAppendedFile },
} as const;

const keywords: { [Name in keyof KeywordArguments]: Keyword<KeywordArguments[Name]> } = {
  duration: {
    types: ['string'],
    expected: (bounds) => within(DURATION, bounds),
    parse: (text, bounds) => parseWithin(parseDuration, text, bounds, DURATION),
  },
  size: {
    types: ['string', 'number'],
    expected: (bounds) => within(SIZE, bounds),
    parse: (text, bounds) => parseWithin(parseSize, text, bounds, SIZE),
  },
  address: {
    types: ['string'],
    expected: (role) => (role === 'endpoint' ? ENDPOINT_TARGET : LISTEN_ADDRESS),
    parse: (text, role) => addressParsers[role](text),
  },
  statuses: {
    types: ['string', 'number'],
    expected: () => STATUS_RANGES,
    parse: parseStatusRanges,
  },
  file: {
    types: ['string'],
    expected: (kind) => fileKinds[kind].expected,
    parse: (path, kind) => fileKinds[kind].parse(path),
  },
  network: {
    types: ['string'],
    expected: () => NETWORK,
    parse: parseNetwork,
  },
  host: {
    types: ['string'],
    expected: () => HOST,
    parse: parseHostAddress,
  },
  reference: {
    types: ['string'],
    expected: (to) => `a string that is a key of ${to}`,
    parse: findReference,
  },
  serverName: {
    types: ['string'],
    expected: () => SERVER_NAME,
    parse: parseServerName,
  },
  hostPattern: {
    types: ['string'],
    expected: () => HOST_PATTERN,
    parse: parseHostPattern,
  },
  forwardTarget: {
    types: ['string'],
    expected: () => FORWARD_TARGET,
    parse: parseForwardTarget,
  },
  path: {
    types: ['string'],
    expected: () => PATH,
    parse: (text) => parsePath(text),
  },
  pathPattern: {
    types: ['string'],
    expected: () => PATH_PATTERN,
    parse: parsePathPattern,
  },
  regularExpression: {
    types: ['string'],
    expected: () => REGULAR_EXPRESSION,
    parse: parseRegularExpression,
  },
  template: {
    types: ['string'],
    expected: (of) => (of === 'host' ? HOST_TEMPLATE : TEMPLATE),
    parse: (text, of) => (of === 'host' ? parseHostTemplate(text) : parseTemplate(text)),
  },
  hostField: {
    types: ['string'],
    expected: () => HOST_FIELD,
    parse: parseHostField,
  },
  peerName: {
    types: ['string'],
    expected: () => PEER_NAME,
    parse: parsePeerName,
  },
  passwordHash: {
    types: ['string'],
    expected: () => PASSWORD_HASH,
    parse: parsePasswordHash,
  },
  directory: {
    types: ['string'],
    expected: () => DIRECTORY,
    parse: parseDirectory,
  },
  candidate: {
    types: ['string'],
    expected: () => CANDIDATE,
    parse: parseCandidate,
  },
  fieldName: {
    types: ['string'],
    expected: () => FIELD_PATTERN,
    parse: parseRemovableField,
  },
  subjectName: {
    types: ['string'],
    expected: () => SUBJECT_NAME,
    parse: parseSubjectName,
  },
  cipherList: {
    types: ['string'],
    expected: (kind) => cipherLists[kind].expected,
    parse: parseCipherList,
  },
};

/** Keywords that say something and check nothing. */
export const ANNOTATIONS = ['unit', 'names', 'secret'];

/** The keywords as ajv wants them. */
export const ajvKeywords: FuncKeywordDefinition[] = Object.entries(keywords).map(
  ([keyword, { types, parse }]) => {
    const check: FuncKeywordDefinition['validate'] = (argument, value, schema, context) => {
      const parsed = parse(String(value), argument as never, context?.rootData);
      const isSecret = (schema as JsonSchema | undefined)?.secret ?? false;
      check!.errors = parsed.ok ? [] : [{ keyword, params: { reason: parsed.reason, isSecret } }];
      return parsed.ok;
    };
    return { keyword, type: types, validate: check, errors: true };
  },
);

/** What a schema with one of the keywords expects, or null for a schema without. */
export function expectedByKeyword(schema: object): string | null {
  const [found] = Object.entries(schema).filter(([name]) => Object.hasOwn(keywords, name));
  if (!found) return null;
  const [name, argument] = found as [keyof KeywordArguments, never];
  return keywords[name].expected(argument);
}

function within(noun: string, { from, to }: Bounds): string {
  return `${noun} from ${from} to ${to}`;
}

function parseWithin(
  parse: (text: string) => Parsed<number>,
  text: string,
  bounds: Bounds,
  noun: string,
): Parsed<number> {
  const parsed = parse(text);
  if (!parsed.ok) return parsed;
  const [from, to] = [parse(bounds.from), parse(bounds.to)];
  if (!from.ok || !to.ok) throw new Error(`bad bounds in the schema: ${bounds.from}, ${bounds.to}`);
  if (parsed.value < from.value) return refused(`too little, expected ${within(noun, bounds)}`);
  if (parsed.value > to.value) return refused(`too much, expected ${within(noun, bounds)}`);
  return parsed;
}

function findReference(name: string, to: string, root: unknown): Parsed<string> {
  const table = (root as Record<string, unknown>)[to];
  const names = typeof table === 'object' && table !== null ? Object.keys(table) : [];
  if (names.includes(name)) return accepted(name);
  return names.length === 0
    ? refused(`there are no ${to}, expected one of this name`)
    : refused(`not a key of ${to}, ${expectedWord(name, names)}`);
}
