import { entries, isMapping, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';
import { hopFields, parseHostPattern, parsePathPattern, reserved } from '../values/index.js';

/** Combinations of keys in a listener's `http` that mean nothing, or cannot be. The value may be invalid otherwise. */
export function findHttpMistakes(file: unknown): Finding[] {
  return entries(property(file, 'listeners')).flatMap(([name, listener]) => {
    const routes = property(property(listener, 'http'), 'routes');
    const pointer = `${keyPointer('/listeners', name)}/http/routes`;
    if (!Array.isArray(routes)) return [];
    return [
      ...findUnreachable(routes, pointer),
      ...findSameNames(routes, pointer),
      ...routes.flatMap((route, index) => findInRoute(route, keyPointer(pointer, index))),
    ];
  });
}

/** Two routes of one name could not be told apart in logs and metrics; one without is called by its position. */
function findSameNames(routes: readonly unknown[], pointer: string): Finding[] {
  const seen = new Map<string, string>();
  return routes.flatMap((route, index) => {
    const at = keyPointer(pointer, index);
    const given = property(route, 'name');
    const name = given === undefined ? String(index) : given;
    if (typeof name !== 'string') return [];
    const earlier = seen.get(name);
    if (earlier === undefined) seen.set(name, at);
    if (earlier === undefined) return [];
    const place = given === undefined ? at : keyPointer(at, 'name');
    const message = `${pointerPath(at)} is called ${show(name)}, as is ${pointerPath(earlier)}, expected another name`;
    return [finding(place, message)];
  });
}

/** Keys that only requests to an upstream have a use for. */
const UPSTREAM_KEYS = ['request_headers', 'host', 'retries', 'rewrite', 'sticky', 'mirror'];
/** And those that files have a use for, too. */
const FORWARDING_KEYS = [...UPSTREAM_KEYS, 'strip_prefix', 'replace_prefix'];

/** Keys that mean nothing where clients choose the target, and a password that is not asked as proxies ask (407). */
const REVERSE_KEYS = [
  'strip_prefix',
  'replace_prefix',
  'host',
  'rewrite',
  'sticky',
  'mirror',
  'basic_auth',
];

function findInRoute(route: unknown, pointer: string): Finding[] {
  const findings: Finding[] = [];
  const keys = entries(route).map(([key]) => key);
  if (keys.includes('strip_prefix') && keys.includes('replace_prefix')) {
    const message = `${pointerPath(pointer)} has "strip_prefix" and "replace_prefix", expected at most one of them`;
    findings.push(finding(keyPointer(pointer, 'replace_prefix'), message, 'key'));
  }
  if (keys.includes('files')) {
    for (const key of keys.filter((one) => UPSTREAM_KEYS.includes(one))) {
      const message = `${pointerPath(pointer)} has "${key}" and "files": nothing is forwarded, expected no "${key}"`;
      findings.push(finding(keyPointer(pointer, key), message, 'key'));
    }
  }
  const direct = ['redirect', 'respond'].find((key) => keys.includes(key));
  if (direct !== undefined) {
    for (const key of keys.filter((one) => FORWARDING_KEYS.includes(one))) {
      const message = `${pointerPath(pointer)} has "${key}" and "${direct}": nothing is forwarded, expected no "${key}"`;
      findings.push(finding(keyPointer(pointer, key), message, 'key'));
    }
  }
  if (keys.includes('forward')) {
    for (const key of keys.filter((one) => REVERSE_KEYS.includes(one))) {
      const message = `${pointerPath(pointer)} has "${key}" and "forward": clients say themselves where they go, expected no "${key}"`;
      findings.push(finding(keyPointer(pointer, key), message, 'key'));
    }
  }
  const split = property(route, 'split');
  if (Array.isArray(split) && split.length > 0) {
    const isNothing = split.every((target) => property(target, 'weight') === 0);
    if (isNothing) {
      const message = `${pointerPath(keyPointer(pointer, 'split'))} has weights of 0 only, expected one above`;
      findings.push(finding(keyPointer(pointer, 'split'), message));
    }
  }
  return [...findings, ...findReservedFields(route, pointer), ...findMethods(route, pointer)];
}

/** Known methods, of which requests in other letters are refused: methods are case-sensitive (RFC 9110 §9.1). */
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'];

/** Methods that no request comes with, so that the route would never be taken. */
function findMethods(route: unknown, pointer: string): Finding[] {
  const methods = property(property(route, 'match'), 'methods');
  if (!Array.isArray(methods)) return [];
  return methods.flatMap((method: unknown, index) => {
    const known = METHODS.find((one) => one === String(method).toUpperCase());
    if (typeof method !== 'string' || known === undefined || known === method) return [];
    const at = keyPointer(keyPointer(keyPointer(pointer, 'match'), 'methods'), index);
    return [finding(at, `${pointerPath(at)} is ${show(method)}, expected ${known}`)];
  });
}

function findReservedFields(route: unknown, pointer: string): Finding[] {
  const tables = [
    ['request_headers', 'set'],
    ['request_headers', 'add'],
    ['response_headers', 'set'],
    ['response_headers', 'add'],
    ['respond', 'headers'],
  ] as const;
  return tables.flatMap(([of, table]) => {
    const at = keyPointer(keyPointer(pointer, of), table);
    return entries(property(property(route, of), table)).flatMap(([name]) => {
      const lower = name.toLowerCase();
      const reason = of === 'request_headers' || hopFields.has(lower) ? reserved(lower) : null;
      if (reason === null) return [];
      const message = `${show(name)} in ${pointerPath(at)} cannot be set: ${reason}, expected another field`;
      return [finding(keyPointer(at, name), message, 'key')];
    });
  });
}

/** Routes behind one that takes everything they could: in the order of the file, the first one that fits wins. */
function findUnreachable(routes: readonly unknown[], pointer: string): Finding[] {
  const findings: Finding[] = [];
  /** Hosts and paths that a route takes whatever else the request is, and which. */
  const claims = new Map<string, string>();
  /** How long the prefixes among them are: a path has as many beginnings as characters. */
  const lengths = new Set<number>();
  routes.forEach((route, index) => {
    const at = keyPointer(pointer, index);
    const match = property(route, 'match');
    if (!isMapping(route)) return;
    const hosts = patterns(property(match, 'host'), spellHost);
    const paths = patterns(property(match, 'path'), spellPath);
    const pairs = hosts.flatMap((host) => paths.map((path) => [host, path] as const));
    const rivals = pairs.map(([host, path]) => rivalOf(claims, lengths, host, path));
    if (pairs.length > 0 && rivals.every((rival) => rival !== undefined)) {
      const message = `${pointerPath(at)} is never reached: ${pointerPath(rivals[0]!)} takes all of its requests, expected it before that one`;
      findings.push(finding(at, message));
    }
    const isConditional = entries(match).some(([key]) => key !== 'host' && key !== 'path');
    if (isConditional) return;
    for (const [host, path] of pairs) {
      const key = `${host} ${path}`;
      if (!claims.has(key)) claims.set(key, at);
      if (path.endsWith('*')) lengths.add(path.length - 1);
    }
  });
  return findings;
}

const ANY_HOST = '*';
const ANY_PATH = '/*';

/** An earlier claim of the same host or any, and the same path or a beginning of it. */
function rivalOf(
  claims: ReadonlyMap<string, string>,
  lengths: ReadonlySet<number>,
  host: string,
  path: string,
) {
  for (const one of new Set([host, ANY_HOST])) {
    const same = claims.get(`${one} ${path}`);
    if (same !== undefined) return same;
    if (!path.startsWith('/')) {
      const all = claims.get(`${one} ${ANY_PATH}`);
      if (all !== undefined) return all;
      continue;
    }
    const fixed = path.replace(/\*.*$/, '');
    const shorter = [...lengths].filter((length) => length <= fixed.length);
    for (const length of shorter.sort((a, b) => b - a)) {
      const wider = claims.get(`${one} ${fixed.slice(0, length)}*`);
      if (wider !== undefined) return wider;
    }
  }
  return undefined;
}

/** The patterns as they are compared; nothing where one of them cannot be read. */
function patterns(value: unknown, spell: (one: unknown) => string | undefined): string[] {
  const spelled = (Array.isArray(value) ? value : [value]).map(spell);
  return spelled.includes(undefined) ? [] : (spelled as string[]);
}

function spellHost(value: unknown): string | undefined {
  if (value === undefined) return ANY_HOST;
  const parsed = typeof value === 'string' ? parseHostPattern(value) : undefined;
  return parsed?.ok ? parsed.value : undefined;
}

function spellPath(value: unknown): string | undefined {
  if (value === undefined) return ANY_PATH;
  const regex = property(value, 'regex');
  if (typeof regex === 'string') return `~${regex}`;
  const parsed = typeof value === 'string' ? parsePathPattern(value) : undefined;
  if (!parsed?.ok) return undefined;
  const { kind, text } = parsed.value;
  return kind === 'prefix' ? `${text}*` : text;
}

function finding(pointer: string, message: string, at: Finding['at'] = 'value'): Finding {
  return { pointer, at, message, absence: false };
}
