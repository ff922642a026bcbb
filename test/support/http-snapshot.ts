import type { HttpRouteSnapshot, HttpSnapshot } from '#src/proxy/index.js';

/** A route that takes every request, to the first upstream. */
export const plainRoute: HttpRouteSnapshot = {
  name: '0',
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
  action: {
    kind: 'forward',
    targets: [{ upstream: 0, name: 'app', host: 'app.internal', weight: 1 }],
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

/** Forwards everything, and adds nothing to it. */
export const plainHttp: HttpSnapshot = {
  routes: [plainRoute],
  trustedProxies: [],
  xForwarded: false,
  forwarded: false,
  requestId: 'off',
  via: null,
  httpsRedirect: null,
  hsts: null,
};
