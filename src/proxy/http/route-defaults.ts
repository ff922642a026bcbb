import type { HttpRouteSnapshot } from './http-snapshot.js';

/** A route of which nothing was said but its name and what it does: it takes every request, and changes nothing. */
export const routeDefaults: Omit<HttpRouteSnapshot, 'name' | 'action'> = {
  match: {
    hosts: [],
    paths: [],
    methods: [],
    headers: [],
    query: [],
    cookies: [],
    source: [],
    serverNames: [],
    tlsSubject: null,
  },
  requestHeaders: { set: [], add: [], remove: [] },
  responseHeaders: { set: [], add: [], remove: [] },
  prefix: null,
  host: 'preserve',
  retries: 1,
  rewrite: { location: false, cookieDomains: [] },
  guard: {
    allow: [],
    deny: [],
    basicAuth: null,
    rate: null,
    concurrent: null,
    bodyMax: Number.POSITIVE_INFINITY,
  },
};
