import { entries, isMapping, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';
import { parseServerName } from '../values/index.js';

/** Where a name was first: its route, and for which protocols; `null` for all of them. */
interface Claim {
  pointer: string;
  alpn: string[] | null;
}

/**
 * Finds routes of TCP listeners that no connection could ever take: behind the default one, or for a
 * server name that an earlier route has for the same protocols. The value may be invalid otherwise.
 */
export function findUnreachableRoutes(file: unknown): Finding[] {
  return entries(property(file, 'listeners')).flatMap(([name, listener]) => {
    const routes = property(property(listener, 'tcp'), 'routes');
    const pointer = `${keyPointer('/listeners', name)}/tcp/routes`;
    return Array.isArray(routes) ? findIn(routes, pointer) : [];
  });
}

function findIn(routes: readonly unknown[], pointer: string): Finding[] {
  const findings: Finding[] = [];
  const claims = new Map<string, Claim[]>();
  let fallback: string | undefined;
  routes.forEach((route, index) => {
    const at = keyPointer(pointer, index);
    const sni = property(route, 'sni');
    const alpn = property(route, 'alpn');
    if (fallback !== undefined) {
      const message = `${pointerPath(at)} comes after the default route ${pointerPath(fallback)}, expected the route without sni and alpn as the last one`;
      findings.push({ pointer: at, at: 'value', message, absence: false });
    } else if (isMapping(route) && sni === undefined && alpn === undefined) {
      fallback = at;
    }
    const protocols = Array.isArray(alpn) ? alpn.map(String) : null;
    const names = Array.isArray(sni) ? sni : [sni];
    names.forEach((name, position) => {
      const parsed = typeof name === 'string' ? parseServerName(name) : undefined;
      if (!parsed?.ok) return;
      const nameAt = keyPointer(at, 'sni');
      const place = Array.isArray(sni) ? keyPointer(nameAt, position) : nameAt;
      const earlier = claims.get(parsed.value) ?? [];
      const rival = rivalOf(earlier, protocols);
      claims.set(parsed.value, [...earlier, { pointer: place, alpn: protocols }]);
      if (rival === undefined) return;
      const message = `${pointerPath(place)} is ${show(name)}: already routed by ${pointerPath(rival.pointer)}, expected each name once, or for other alpn`;
      findings.push({ pointer: place, at: 'value', message, absence: false });
    });
  });
  return findings;
}

/** An earlier claim that leaves nothing for these protocols. */
function rivalOf(earlier: readonly Claim[], protocols: readonly string[] | null) {
  const all = earlier.find(({ alpn }) => alpn === null);
  if (all !== undefined || protocols === null) return all;
  const taken = new Set(earlier.flatMap(({ alpn }) => alpn ?? []));
  return protocols.every((protocol) => taken.has(protocol)) ? earlier[0] : undefined;
}
