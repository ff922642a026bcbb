import t from 'tap';
import type { HttpRouteSnapshot, MatchSnapshot } from '#src/proxy/http/http-snapshot.js';
import type { RequestHead } from '#src/proxy/http/message/request-head.js';
import { CanonicalPath, type HttpClient, Router, Routing } from '#src/proxy/http/routing/index.js';
import { Random } from '#test/support/random.js';
import { clientAt, headOf, matchOf, networks } from '../requests.js';

const somebody = clientAt('192.0.2.1');

function find(matches: Partial<MatchSnapshot>[], request: string, client = somebody): number {
  const router = new Router(matches.map((match) => ({ match: matchOf(match) })));
  return router.find(headOf(request), client, new CanonicalPath());
}

const exact = (text: string) => ({ kind: 'exact' as const, text });
const prefix = (text: string) => ({ kind: 'prefix' as const, text });
const glob = (text: string) => ({ kind: 'glob' as const, text });
const regex = (text: string) => ({ kind: 'regex' as const, text });

t.test('router: the first route that fits wins, however well a later one fits', async (t) => {
  t.equal(find([{}, { paths: [exact('/a')] }], 'GET /a'), 0);
  t.equal(find([{ paths: [prefix('/')] }, { paths: [exact('/a')] }], 'GET /a'), 0);
  t.equal(find([{ hosts: ['*.com'] }, { hosts: ['example.com'] }], 'GET /'), 0);
  t.equal(find([{ hosts: ['example.com'] }, { hosts: ['*.com'] }], 'GET /'), 0);
  t.equal(find([{ methods: ['POST'] }, { paths: [exact('/a')] }, {}], 'GET /a'), 1);
  t.equal(find([{ methods: ['POST'] }], 'GET /'), Routing.none);
  t.equal(find([], 'GET /'), Routing.none);
});

t.test(
  'router: hosts in any case, with a port, with the dot of the root, as addresses',
  async (t) => {
    const matches = ['example.com', '*.example.com', '[::1]', '10.0.0.1'].map((host) => ({
      hosts: [host],
    }));
    const at = (host: string) => find(matches, `GET /\nHost: ${host}`);
    t.equal(at('EXAMPLE.com'), 0);
    t.equal(at('example.com:8080'), 0);
    t.equal(at('example.com.'), 0);
    t.equal(at('a.example.com'), 1);
    t.equal(at('A.b.Example.com.:80'), 1);
    t.equal(at('xexample.com'), Routing.none);
    t.equal(at('com'), Routing.none);
    t.equal(at('[::1]:80'), 2);
    t.equal(at('[0:0:0:0:0:0:0:1]'), 2, 'however it is written');
    t.equal(at('[0000::0.0.0.1]:80'), 2);
    t.equal(at('[::2]'), Routing.none);
    t.equal(at('10.0.0.1'), 3);
    t.equal(at('110.0.0.1'), Routing.none);
    t.equal(find(matches, 'GET http://a.example.com/\nHost: a.example.com'), 1);
    t.equal(find(matches, 'GET / HTTP/1.0\nhost:example.com'), 0);
  },
);

t.test('router: paths by pattern', async (t) => {
  const fits = (
    pattern: ReturnType<typeof exact | typeof glob | typeof regex | typeof prefix>,
    path: string,
  ) => find([{ paths: [pattern] }], `GET ${path}`) === 0;
  t.ok(fits(exact('/v1'), '/v1?x=1'));
  t.notOk(fits(exact('/v1'), '/v1/'));
  t.ok(fits(prefix('/v1/'), '/v1/'));
  t.ok(fits(prefix('/v1/'), '/v1/a/b'));
  t.notOk(fits(prefix('/v1/'), '/v1'));
  t.notOk(fits(prefix('/v1/'), '/v10'));
  t.ok(fits(prefix('/v1'), '/v10'));
  t.ok(fits(glob('/users/*/avatar'), '/users/5/avatar'));
  t.notOk(fits(glob('/users/*/avatar'), '/users/5/6/avatar'));
  t.notOk(fits(glob('/users/*/avatar'), '/users/5/avatar/x'));
  t.ok(fits(glob('/f/**/raw'), '/f/raw'));
  t.ok(fits(glob('/f/**/raw'), '/f/a/b/raw'));
  t.notOk(fits(glob('/f/**/raw'), '/f/a/b/xraw'));
  t.ok(fits(glob('/a.b*c'), '/a.bxxc'));
  t.notOk(fits(glob('/a.b*c'), '/axbc'), 'a dot is a dot');
  t.ok(fits(regex('^/v[0-9]+/'), '/v12/x'));
  t.ok(fits(regex('[.]png$'), '/a/b.png'));
  t.ok(fits(regex('^/ab?c'), '/ac'), 'a quantifier may take back the last letter');
  t.ok(fits(regex('^/abc|x$'), '/yx'), 'an alternative needs no beginning');
  t.ok(fits(regex('^/a{0}b'), '/b'));
  t.notOk(fits(exact('/a'), '/A'), 'case counts');
});

t.test('router: the server’s options have no path, and fit routes that ask for none', async (t) => {
  t.equal(find([{ paths: [prefix('/')] }, { methods: ['OPTIONS'] }], 'OPTIONS *'), 1);
  t.equal(find([{ paths: [regex('.*')] }], 'OPTIONS *'), Routing.none);
});

t.test('router: other spellings of a path do not get around a route', async (t) => {
  const matches = [{ paths: [prefix('/admin/')] }, {}];
  for (const path of [
    '/admin/x',
    '//admin/x',
    '/%61dmin/x',
    '/a/../admin/x',
    '/a/%2e%2e/admin/x',
  ]) {
    t.equal(find(matches, `GET ${path}`), 0, path);
  }
  t.equal(find(matches, 'GET /admin/../x'), 1);
  t.equal(find(matches, 'GET /../admin/x'), Routing.path_invalid);
});

t.test('router: headers, all of them, and one value of those that repeat', async (t) => {
  const value = { kind: 'exact' as const, text: '1' };
  const byHeader =
    (...headers: MatchSnapshot['headers']) =>
    (lines: string) =>
      find([{ headers }], `GET /\n${lines}`) === 0;
  const known = byHeader({ name: 'origin', value });
  const other = byHeader({ name: 'x-a', value });
  for (const [fits, name] of [
    [known, 'Origin'],
    [other, 'X-A'],
  ] as const) {
    t.ok(fits(`${name}: 1`));
    t.ok(fits(`${name}: 0\n${name}: 1`));
    t.notOk(fits(`${name}: 11`));
    t.notOk(fits(`x-${name}: 1`));
    t.notOk(fits(''));
  }
  t.ok(byHeader({ name: 'x-a', value: { kind: 'any' } })('x-a:'));
  t.notOk(byHeader({ name: 'x-a', value: { kind: 'any' } })(''));
  t.ok(byHeader({ name: 'x-a', value: { kind: 'none' } })(''));
  t.notOk(byHeader({ name: 'x-a', value: { kind: 'none' } })('x-a: 1'));
  t.ok(byHeader({ name: 'x-a', value: { kind: 'regex', text: '^a+$' } })('x-a: aaa'));
  t.notOk(byHeader({ name: 'x-a', value: { kind: 'regex', text: '^a+$' } })('x-a: aba'));
  const both = byHeader({ name: 'x-a', value }, { name: 'x-b', value });
  t.ok(both('x-b: 1\nx-a: 1'));
  t.notOk(both('x-a: 1'));
});

t.test('router: query, cookies, source, TLS', async (t) => {
  const value = { kind: 'exact' as const, text: 'a b' };
  const fits = (match: Partial<MatchSnapshot>, request: string, client?: HttpClient) =>
    find([match], request, client) === 0;
  const query = { query: [{ name: 'q é', value }] };
  t.ok(fits(query, 'GET /?x&q+%C3%A9=a%20b'));
  t.ok(fits(query, 'GET /?q%20%C3%A9=1&q+%C3%A9=a+b'));
  t.notOk(fits(query, 'GET /?q=a+b'));
  t.ok(fits({ query: [{ name: 'x', value: { kind: 'none' } }] }, 'GET /?y'));
  const cookies = { cookies: [{ name: 'b', value: { kind: 'exact' as const, text: '1' } }] };
  t.ok(fits(cookies, 'GET /\nCookie: a=0; b=1'));
  t.ok(fits(cookies, 'GET /\nCookie: ab=0;b="1" ; c'));
  t.ok(fits(cookies, 'GET /\nCookie: a=b=1\nCookie: b=1'));
  t.notOk(fits(cookies, 'GET /\nCookie: ab=1; b=2'));
  t.notOk(fits(cookies, 'GET /\nCookie: b'));
  const source = { source: networks('10.0.0.0/8', '2001:db8::/32') };
  t.ok(fits(source, 'GET /', clientAt('10.1.2.3')));
  t.ok(fits(source, 'GET /', clientAt('2001:db8::5')));
  t.notOk(fits(source, 'GET /', clientAt('11.1.2.3')));
  t.notOk(fits(source, 'GET /', clientAt('', { source: { family: 'unix', path: '' } })));
  const sni = { serverNames: ['*.example.com'] };
  t.ok(fits(sni, 'GET /', clientAt('10.0.0.1', { serverName: 'a.example.com' })));
  t.notOk(fits(sni, 'GET /', somebody));
  const subject = { tlsSubject: { kind: 'regex' as const, text: 'O=Example$' } };
  t.ok(fits(subject, 'GET /', clientAt('10.0.0.1', { tlsSubject: 'CN=a,O=Example' })));
  t.notOk(fits(subject, 'GET /', somebody));
});

/** The same by going through the routes one by one. */
function findLinearly(
  routes: readonly Pick<HttpRouteSnapshot, 'match'>[],
  head: RequestHead,
): number {
  return routes.findIndex(({ match: { hosts, paths, methods, headers } }) => {
    const isHost = hosts.some((host) => {
      const source = host.replaceAll('.', '\\.').replace(/^\*\\\./, '.+\\.');
      return host === '*' || new RegExp(`^${source}$`).test(head.hostName);
    });
    const isPath = paths.some(({ kind, text }) => {
      if (kind === 'exact') return head.path === text;
      if (kind === 'prefix') return head.path.startsWith(text);
      const source = kind === 'glob' ? `^${text.replaceAll('*', '[^/]*')}$` : text;
      return new RegExp(source).test(head.path);
    });
    return (
      (hosts.length === 0 || isHost) &&
      (paths.length === 0 || isPath) &&
      (methods.length === 0 || methods.includes(head.methodName)) &&
      headers.every(({ name }) => head.findNamed(name) >= 0)
    );
  });
}

const seed = Random.seed();
t.test(`router: finds what a search one by one finds (SEED=${seed})`, async (t) => {
  const random = new Random(seed);
  const hosts = ['a', 'b.a', 'c.b.a', 'x.a', 'b', '*', '*.a', '*.b.a', '*.b'];
  const segments = ['a', 'ab', 'abc', 'b', 'a-b', ''];
  const path = () =>
    `/${Array.from({ length: random.between(1, 3) }, () => random.pick(segments)).join('/')}`.replace(
      /\/{2,}/g,
      '/',
    );
  const some = <Item>(most: number, make: () => Item): Item[] =>
    Array.from({ length: random.between(0, most) }, make);
  const pattern = () => {
    const text = path();
    switch (random.between(0, 5)) {
      case 0:
        return glob(text.replace(/a/, '*'));
      case 1:
        return regex(random.pick([`^${text}`, `${text}$`, `^${text}?x`, `^/a|${text}$`, 'b.*a']));
      case 2:
      case 3:
        return prefix(text);
      default:
        return exact(text);
    }
  };
  let fits = 0;
  for (let round = 0; round < 300; round++) {
    const routes = some(random.pick([3, 30, 100]), () => ({
      match: matchOf({
        hosts: some(2, () => random.pick(hosts)),
        paths: some(2, pattern),
        methods: random.oneIn(3) ? [random.pick(['GET', 'PUT', 'PURGE'])] : [],
        headers: random.oneIn(4)
          ? [{ name: random.pick(['x-a', 'origin']), value: { kind: 'any' as const } }]
          : [],
      }),
    }));
    const router = new Router(routes);
    for (let request = 0; request < 30; request++) {
      const host = random.pick(hosts).replace('*', random.pick(['q', 'b', 'b.b']));
      const text = `${random.pick(['GET', 'PUT', 'PURGE', 'PURGES'])} ${path()}\nHost: ${host}${
        random.oneIn(2) ? '\nX-A: 1' : '\nOrigin: 1'
      }`;
      const head = headOf(text);
      const expected = findLinearly(routes, head);
      const found = router.find(head, somebody, new CanonicalPath());
      if (found >= 0) fits++;
      if (found !== expected) {
        t.fail(`route ${found} for ${text}, expected ${expected}`, { routes });
        return;
      }
    }
  }
  t.ok(fits > 1000, `${fits} requests had a route`);
});

t.test('router: of ten thousand routes each is found', async (t) => {
  const matches = Array.from({ length: 10_000 }, (_, index) => ({
    hosts: [`h${index % 100}.example.com`],
    paths: [index % 2 === 0 ? exact(`/p${index}`) : prefix(`/p${index}/`)],
  }));
  const router = new Router(matches.map((match) => ({ match: matchOf(match) })));
  const path = new CanonicalPath();
  for (let index = 0; index < matches.length; index += 97) {
    const target = `/p${index}${index % 2 === 0 ? '' : '/x'}`;
    const head = headOf(`GET ${target}\nHost: h${index % 100}.example.com`);
    t.equal(router.find(head, somebody, path), index);
  }
});
