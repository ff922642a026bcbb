import { entries, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';

/**
 * Finds upstreams that are balanced by what their connections do not have: a part of a request where a TCP
 * listener forwards to them, or another cookie than the one that a route gives. The value may be invalid otherwise.
 */
export function findBalanceMistakes(file: unknown): Finding[] {
  const upstreams = property(file, 'upstreams');
  const hashOf = (name: unknown) =>
    typeof name === 'string'
      ? property(property(property(upstreams, name), 'balance'), 'hash')
      : undefined;
  return entries(property(file, 'listeners')).flatMap(([name, listener]) => {
    const at = keyPointer('/listeners', name);
    return [...findUnhashable(at, listener, hashOf), ...findUnsticky(at, listener, hashOf)];
  });
}

type HashOf = (upstream: unknown) => unknown;

function findUnhashable(at: string, listener: unknown, hashOf: HashOf): Finding[] {
  const tcp = property(listener, 'tcp');
  const pointer = keyPointer(at, 'tcp');
  const targets = [
    { pointer: keyPointer(pointer, 'upstream'), upstream: property(tcp, 'upstream') },
    ...entries(property(tcp, 'routes')).map(([index, route]) => ({
      pointer: [keyPointer(pointer, 'routes'), index, 'upstream'].join('/'),
      upstream: property(route, 'upstream'),
    })),
  ];
  return targets.flatMap(({ pointer, upstream }) => {
    const hash = hashOf(upstream);
    if (typeof hash !== 'string' || !/^(path$|header:|cookie:)/.test(hash)) return [];
    const message = `${pointerPath(pointer)} is ${show(upstream)}: it is balanced by ${show(hash)}, which only requests have, expected { hash: source_ip } or another way`;
    return [{ pointer, at: 'value', message, absence: false }];
  });
}

function findUnsticky(at: string, listener: unknown, hashOf: HashOf): Finding[] {
  const routes = entries(property(property(listener, 'http'), 'routes'));
  return routes.flatMap(([index, route]) => {
    const cookie = property(property(route, 'sticky'), 'cookie');
    if (typeof cookie !== 'string') return [];
    const names = [
      property(route, 'upstream'),
      ...entries(property(route, 'split')).map(([, target]) => property(target, 'upstream')),
    ].filter((name) => typeof name === 'string');
    const pointer = `${at}/http/routes/${index}/sticky/cookie`;
    const wanted = `cookie:${cookie}`;
    return names
      .filter((name) => hashOf(name) !== wanted)
      .map((name): Finding => {
        const message = `${pointerPath(pointer)} is ${show(cookie)}: upstreams.${name} is not balanced by it, expected balance: { hash: ${show(wanted)} } there`;
        return { pointer, at: 'value', message, absence: false };
      });
  });
}
