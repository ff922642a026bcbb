import t from 'tap';
import { type HttpConfig, loadConfig } from '#src/config/index.js';

/** What becomes of a listener's `http`. */
function httpOf(http: object): HttpConfig {
  const loaded = loadConfig(
    JSON.stringify({
      listeners: { web: { bind: '127.0.0.1:80', http } },
      upstreams: { app: { demo: true }, api: { demo: true } },
    }),
  );
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('; '));
  return loaded.config.listeners[0]!.http!;
}

const noEdits = { set: [], add: [], remove: [] };
const anything = {
  hosts: [],
  paths: [],
  methods: [],
  headers: [],
  query: [],
  cookies: [],
  source: [],
  serverNames: [],
  tlsSubject: null,
};
const forwardedTo = (...names: string[]) => ({
  kind: 'forward',
  targets: names.map((upstream) => ({ upstream, weight: 1 })),
});

t.test('http: one upstream is one route with every default', async (t) => {
  t.strictSame(httpOf({ upstream: 'app' }), {
    routes: [
      {
        name: '0',
        match: anything,
        action: forwardedTo('app'),
        mirror: null,
        requestHeaders: noEdits,
        responseHeaders: noEdits,
        prefix: null,
        host: 'preserve',
        retries: 1,
        timeouts: null,
        rewrite: { location: false, cookieDomains: [] },
        sticky: null,
        guard: {
          allow: [],
          deny: [],
          basicAuth: null,
          rate: null,
          concurrentMax: null,
          bodyRateMin: 0,
          bodyMax: null,
        },
      },
    ],
    trustedProxies: [],
    xForwarded: true,
    forwarded: false,
    requestId: 'keep',
    via: 'headgate',
    date: true,
    errorPages: [],
    httpsRedirect: null,
    hsts: null,
  });
  t.strictSame(httpOf({ upstream: 'app' }), httpOf({ routes: [{ upstream: 'app' }] }));
});

t.test('http: what a request must be is spelled as it is compared', async (t) => {
  const { routes } = httpOf({
    routes: [
      {
        match: {
          host: ['API.example.com', '*.Bücher.example', '[2001:DB8::0001]', '::1', '10.0.0.1'],
          path: ['/v1/*', '/v1*', '/*', '/a%7eb', '/a%2fb', '/a b/é', '/x*y', '/a/**/b', '/%2A'],
          headers: { 'X-A': '1', 'x-b': true, 'x-c': false, 'x-d': { regex: '^a' } },
          query: { V: 'x y' },
          cookies: { Beta: true },
        },
        upstream: 'app',
      },
    ],
  });
  const { hosts, paths, headers, query, cookies } = routes[0]!.match;
  t.strictSame(hosts, [
    'api.example.com',
    '*.xn--bcher-kva.example',
    '[2001:db8::1]',
    '[::1]',
    '10.0.0.1',
  ]);
  t.strictSame(
    paths.map(({ kind, text }) => `${kind} ${text}`),
    [
      'prefix /v1/',
      'prefix /v1',
      'prefix /',
      'exact /a~b',
      'exact /a%2Fb',
      'exact /a%20b/%C3%A9',
      'glob /x*y',
      'glob /a/**/b',
      'exact /%2A',
    ],
  );
  t.strictSame(headers, [
    { name: 'x-a', value: { kind: 'exact', text: '1' } },
    { name: 'x-b', value: { kind: 'any' } },
    { name: 'x-c', value: { kind: 'none' } },
    { name: 'x-d', value: { kind: 'regex', text: '^a' } },
  ]);
  t.strictSame(query, [{ name: 'V', value: { kind: 'exact', text: 'x y' } }]);
  t.strictSame(cookies, [{ name: 'Beta', value: { kind: 'any' } }]);
});

t.test('http: texts with variables are taken apart', async (t) => {
  const templates = {
    '': [],
    plain: ['plain'],
    $host: [{ variable: 'host' }],
    'a $client_ip,$request_id.': [
      'a ',
      { variable: 'client_ip' },
      ',',
      { variable: 'request_id' },
      '.',
    ],
    // `$${` is how a file says `${`.
    '$${host}s': [{ variable: 'host' }, 's'],
    '5$$ $$host': ['5$ $host'],
  };
  const set = Object.fromEntries(Object.keys(templates).map((text, n) => [`x-${n}`, text]));
  const [route] = httpOf({ routes: [{ upstream: 'app', request_headers: { set } }] }).routes;
  t.strictSame(
    route!.requestHeaders.set.map(({ value }) => value),
    Object.values(templates),
  );
});

t.test('http: prefixes have no slash at the end, and nothing stands for the root', async (t) => {
  const prefixOf = (route: object) =>
    httpOf({ routes: [{ upstream: 'app', ...route }] }).routes[0]!.prefix;
  t.strictSame(prefixOf({ strip_prefix: '/v1' }), { from: '/v1', to: '' });
  t.strictSame(prefixOf({ strip_prefix: '/v1/' }), { from: '/v1', to: '' });
  t.strictSame(prefixOf({ replace_prefix: { from: '/', to: '/app/' } }), { from: '', to: '/app' });
});

t.test('http: routes are told by their names, or else by their positions', async (t) => {
  const { routes } = httpOf({
    routes: [
      { match: { path: '/a' }, split: [{ upstream: 'app' }, { upstream: 'api' }], name: 'both' },
      { match: { path: '/b' }, redirect: '/c' },
      { respond: {} },
    ],
  });
  t.strictSame(
    routes.map(({ name }) => name),
    ['both', '1', '2'],
  );
  t.strictSame(
    routes.map(({ action }) => action),
    [
      forwardedTo('app', 'api'),
      { kind: 'redirect', to: ['/c'], status: 302 },
      { kind: 'respond', status: 200, body: '', headers: [] },
    ],
  );
});

t.test('http: who may use a route, and how much', async (t) => {
  const [one, two] = httpOf({
    routes: [
      {
        match: { path: '/a' },
        upstream: 'app',
        limits: {
          body_size: '1KiB',
          rate: { requests: 10, per: '1m', key: 'header:X-Key' },
          concurrent: 5,
        },
        basic_auth: {
          users: { alice: `$scrypt$ln=12,r=8,p=1$${'a'.repeat(22)}$${'b'.repeat(43)}` },
        },
        rewrite: { location: true, cookie_domains: { '.A.internal': 'b.example', c: '' } },
      },
      { upstream: 'app', limits: { rate: { requests: 1, burst: 5 }, body_size: 0 } },
    ],
  }).routes;
  t.match(one!.guard, {
    basicAuth: { realm: 'headgate', users: [{ name: 'alice' }] },
    rate: { requests: 10, perMs: 60_000, burst: 10, key: { header: 'x-key' } },
    concurrentMax: 5,
    bodyMax: 1024,
  });
  t.strictSame(one!.rewrite, {
    location: true,
    cookieDomains: [
      { from: 'a.internal', to: 'b.example' },
      { from: 'c', to: '' },
    ],
  });
  t.match(two!.guard, { rate: { perMs: 1000, burst: 5, key: 'source' }, bodyMax: 0 });
});

t.test('http: HTTPS for all', async (t) => {
  const of = (http: object) => httpOf({ upstream: 'app', ...http });
  t.strictSame(of({ https_redirect: true }).httpsRedirect, { port: 443, status: 308 });
  t.strictSame(of({ https_redirect: { port: 8443 } }).httpsRedirect, { port: 8443, status: 308 });
  t.equal(of({ https_redirect: false }).httpsRedirect, null);
  t.equal(of({ hsts: {} }).hsts, 'max-age=31536000');
  t.equal(
    of({ hsts: { max_age: '1500ms', include_subdomains: true, preload: true } }).hsts,
    'max-age=1; includeSubDomains; preload',
  );
});

t.test('http: error pages', async (t) => {
  const { errorPages } = httpOf({
    upstream: 'app',
    error_pages: [
      { status: '404, 500-599', html: '<p>', json: '{}' },
      { status: 404, html: '' },
    ],
  });
  t.strictSame(errorPages, [
    {
      statuses: [
        { from: 404, to: 404 },
        { from: 500, to: 599 },
      ],
      html: '<p>',
      json: '{}',
    },
    { statuses: [{ from: 404, to: 404 }], html: '' },
  ]);
});

t.test('http: a route has its own timeouts, and takes the others from the file', async (t) => {
  const none = { connectMs: null, idleMs: null, requestMs: null, responseMs: null, tunnelMs: null };
  const routes = [
    { timeouts: { request: '10s', connect: '500ms' } },
    { timeouts: { request: 'off', response: '1m', idle: '1h' } },
    { timeouts: { idle: '1h', tunnel: '2h' }, limits: { min_body_rate: '1KiB' } },
  ].map((route, index) => ({ match: { path: `/${index}` }, upstream: 'app', ...route }));
  const read = httpOf({ routes }).routes;
  t.strictSame(
    read.map(({ timeouts }) => timeouts),
    [
      { ...none, requestMs: 10_000, connectMs: 500 },
      {
        ...none,
        requestMs: 0,
        responseMs: 60_000,
        idleMs: 3_600_000,
        tunnelMs: 3_600_000,
      },
      { ...none, idleMs: 3_600_000, tunnelMs: 7_200_000 },
    ],
  );
  t.strictSame(
    read.map(({ guard }) => guard.bodyRateMin),
    [0, 0, 1024],
  );
});
