import { entries, property } from '../document/index.js';
import type { Finding } from '../validation/index.js';

/** How many listeners have counters (`LISTENERS_MAX` of the data plane). */
const LISTENERS_MAX = 256;
/** Upstreams, and addresses of theirs, that the table of endpoints has room for (`ENDPOINT_SLOTS`). */
const ENDPOINTS_MAX = 4096;

/**
 * Finds more listeners or endpoints than the shared memory of the process has room for, which would be found out at the
 * start, or in a reload. Names may lead to more addresses later. The value may be invalid otherwise.
 */
export function findOverflows(file: unknown): Finding[] {
  const listeners = entries(property(file, 'listeners')).length;
  const endpoints = entries(property(file, 'upstreams')).reduce((total, [, upstream]) => {
    const spelled = entries(property(upstream, 'endpoints')).map(([, one]) =>
      typeof one === 'string' ? one : property(one, 'address'),
    );
    return total + 1 + new Set(spelled).size;
  }, 0);
  return [
    ...overflow('listeners', 'listeners', listeners, LISTENERS_MAX),
    ...overflow('upstreams', 'upstreams and endpoints', endpoints, ENDPOINTS_MAX),
  ];
}

function overflow(key: string, what: string, count: number, max: number): Finding[] {
  if (count <= max) return [];
  const message = `${key} has ${count} ${what}, expected at most ${max}`;
  return [{ pointer: `/${key}`, at: 'key', message, absence: false }];
}
