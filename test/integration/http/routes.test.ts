// What an HTTP listener does by its routes, asked from outside: configuration, proxy and origins together.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { bodyOf, HttpRig, request } from '#test/support/http/http-rig.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { expectCleanExit } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };

/** Says what it was asked, as JSON. */
const mirror =
  (name: string): http.RequestListener =>
  async (request, response) => {
    const body = await bodyOf(request);
    const { method, url, headers } = request;
    response.setHeader('server', 'mirror');
    if (url === '/away') {
      response.writeHead(302, {
        location: `http://${headers.host}/there`,
        'set-cookie': 'a=b; Domain=app.internal',
      });
    }
    response.end(JSON.stringify({ name, method, url, headers, length: body.length }));
  };

/** Origins of the present test. */
const origins = new Set<http.Server>();

/** Ends connections that headgate would keep for the next request. */
function hangUp(): void {
  for (const server of origins) server.closeAllConnections();
}

async function origin(t: Test, name: string): Promise<string> {
  const server = http.createServer(mirror(name));
  origins.add(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    origins.delete(server);
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

interface Mirrored {
  readonly name: string;
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
}

async function ask(
  url: string,
  headers: http.OutgoingHttpHeaders = {},
  options: http.RequestOptions & { body?: string } = {},
) {
  const answer = await request(url, { ...options, headers }, options.body);
  const text = answer.body.toString();
  const seen = text.startsWith('{"name"') ? (JSON.parse(text) as Mirrored) : undefined;
  return { ...answer, text, seen };
}

t.test('http routes: matching, rewriting, answering', timeout, async (t) => {
  const rig = await HttpRig.start(t, mirror('one'), {
    http: {
      via: 'edge',
      routes: [
        {
          match: { path: '/v1/*', headers: { 'x-canary': '1' } },
          upstream: 'origin',
          strip_prefix: '/v1',
          request_headers: { set: { 'x-env': 'canary $route' }, remove: ['x-secret'] },
          response_headers: { set: { 'x-by': '$upstream' }, remove: ['server'] },
          name: 'canary',
        },
        {
          match: { path: '/v1/*' },
          upstream: 'origin',
          replace_prefix: { from: '/v1', to: '/api' },
        },
        { match: { path: '/old' }, redirect: { to: '/new?$query', status: 308 } },
        { match: { path: '/denied' }, upstream: 'origin', deny: ['127.0.0.0/8'] },
        { match: { path: '/small' }, upstream: 'origin', limits: { body_size: 10 } },
        {
          match: { path: '/seldom' },
          upstream: 'origin',
          limits: { rate: { requests: 1, per: '1h' } },
        },
        {
          match: { path: '/away' },
          upstream: 'origin',
          host: 'app.internal',
          rewrite: { location: true, cookie_domains: { 'app.internal': 'example.com' } },
        },
        { match: { methods: ['GET', 'POST'] }, respond: { status: 404, body: 'no route\n' } },
      ],
    },
  });
  const canary = await ask(rig.url('/v1/a?b=c'), { 'x-canary': '1', 'x-secret': 's' });
  t.equal(canary.seen?.url, '/a?b=c');
  t.equal(canary.seen?.headers['x-env'], 'canary canary');
  t.notOk('x-secret' in canary.seen!.headers);
  t.equal(canary.seen?.headers['x-forwarded-for'], '127.0.0.1');
  t.equal(canary.seen?.headers.via, '1.1 edge');
  t.match(canary.seen?.headers['x-request-id'], /^[0-9a-f]{32}$/);
  t.equal(canary.headers['x-by'], 'origin');
  t.notOk('server' in canary.headers);
  const plain = await ask(rig.url('/v1/a'), { 'x-forwarded-for': '10.0.0.1' });
  t.equal(plain.seen?.url, '/api/a');
  t.equal(plain.seen?.headers['x-forwarded-for'], '127.0.0.1', 'strangers are not believed');
  t.equal(plain.headers.server, 'mirror');

  const moved = await ask(rig.url('/old?a=b'));
  t.match(moved, { status: 308, headers: { location: '/new?a=b' }, text: '' });
  t.match(await ask(rig.url('/else')), { status: 404, text: 'no route\n' });
  t.match(await ask(rig.url('/else'), {}, { method: 'HEAD' }), { status: 404 });
  t.match(await ask(rig.url('/else'), {}, { method: 'PUT' }), { status: 404 });
  t.equal((await ask(rig.url('/denied'))).status, 403);
  t.equal((await ask(rig.url('//x/../%64enied'))).status, 403, 'another spelling');
  t.equal((await ask(rig.url('/small'), {}, { method: 'POST', body: '0123456789' })).status, 200);
  t.equal((await ask(rig.url('/small'), {}, { method: 'POST', body: '0123456789a' })).status, 413);
  t.equal((await ask(rig.url('/seldom'))).status, 200);
  const held = await ask(rig.url('/seldom'));
  t.equal(held.status, 429);
  t.ok(Number(held.headers['retry-after']) > 3000);
  const away = await ask(rig.url('/away'), { host: 'www.example.com' });
  t.equal(away.headers.location, 'http://www.example.com/there');
  t.strictSame(away.headers['set-cookie'], ['a=b; Domain=example.com']);
  t.equal(away.seen?.headers.host, 'app.internal');
  await rig.finish();
});

t.test(
  'http routes: bodies of routes that answer by themselves do not confuse the next request',
  timeout,
  async (t) => {
    const rig = await HttpRig.start(t, mirror('one'), {
      http: {
        routes: [
          { match: { path: '/no' }, respond: { status: 404, body: 'no\n' } },
          { upstream: 'origin' },
        ],
      },
    });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (const body of ['', 'x'.repeat(100), 'x'.repeat(300_000)]) {
      for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
        const refused = await ask(rig.url('/no'), headers, { method: 'POST', body, agent });
        t.equal(refused.text, 'no\n');
        const next = await ask(rig.url('/yes'), {}, { agent });
        t.equal(next.seen?.url, '/yes');
      }
    }
    agent.destroy();
    await rig.finish();
  },
);

t.test('http routes: a split, and clients that stay where they are', timeout, async (t) => {
  const names = ['a', 'b', 'c'];
  const addresses = await Promise.all(names.map((name) => origin(t, name)));
  const [a, b, c] = addresses as [string, string, string];
  const { headgate, finish } = await startConfigured(t, {
    listeners: {
      web: {
        bind: '127.0.0.1:0',
        http: {
          routes: [
            {
              match: { path: '/split' },
              split: [
                { upstream: 'a', weight: 9 },
                { upstream: 'b', weight: 1 },
              ],
            },
            { upstream: 'all', sticky: { cookie: 'gate' } },
          ],
        },
      },
    },
    upstreams: {
      a: { endpoints: [a] },
      b: { endpoints: [b] },
      all: { endpoints: [a, b, c], balance: { hash: 'cookie:gate' } },
    },
  });
  const url = (path: string) => `http://${headgate.address}${path}`;
  const counts: Record<string, number> = {};
  for (let n = 0; n < 100; n++) {
    const { seen } = await ask(url('/split'));
    counts[seen!.name] = (counts[seen!.name] ?? 0) + 1;
  }
  t.ok(Math.abs(counts.b! - 10) <= 2, `${counts.b} of 100`);
  const homes = new Set<string>();
  for (let customer = 0; customer < 20; customer++) {
    const first = await ask(url('/'));
    const cookie = first.headers['set-cookie']![0]!.split(';')[0]!;
    homes.add(first.seen!.name);
    for (let n = 0; n < 3; n++) {
      const again = await ask(url('/'), { cookie });
      t.equal(again.seen!.name, first.seen!.name);
      t.notOk('set-cookie' in again.headers);
    }
  }
  t.equal(homes.size, 3, 'all of them are somebody’s');
  hangUp();
  await finish();
});

t.test('http routes: who answers badly is left out for a while', timeout, async (t) => {
  let isIll = true;
  const ill = http.createServer((_, response) => {
    response.writeHead(isIll ? 503 : 200).end('ill');
  });
  await new Promise<void>((resolve) => ill.listen(0, '127.0.0.1', resolve));
  t.teardown(() => ill.close());
  origins.add(ill);
  const well = await origin(t, 'well');
  const { headgate, finish } = await startConfigured(t, {
    listeners: { web: { bind: '127.0.0.1:0', http: { upstream: 'app' } } },
    upstreams: {
      app: {
        endpoints: [`127.0.0.1:${(ill.address() as net.AddressInfo).port}`, well],
        health: { passive: { failures: 3, eject_for: '1h', statuses: '500-599' } },
      },
    },
  });
  const statuses: number[] = [];
  for (let n = 0; n < 20; n++) {
    // Now and then it is well, which ends a row.
    isIll = n > 6;
    statuses.push((await ask(`http://${headgate.address}/`)).status);
  }
  t.equal(statuses.filter((status) => status === 503).length, 3, `${statuses}`);
  t.ok(statuses.slice(14).every((status) => status === 200));
  hangUp();
  await finish();
});

t.test('http routes: errors in the words of the listener', timeout, async (t) => {
  const rig = await HttpRig.start(t, mirror('one'), {
    endpoint: '127.0.0.1:1',
    http: {
      error_pages: [
        { status: 404, html: '<h1>Nothing here</h1>' },
        { status: '500-599', html: '<h1>Back soon</h1>', json: '{"back":"soon"}' },
      ],
      routes: [{ match: { path: '/a' }, upstream: 'origin' }],
    },
  });
  t.match(await ask(rig.url('/x')), {
    status: 404,
    text: '<h1>Nothing here</h1>',
    headers: { 'content-type': 'text/html; charset=utf-8' },
  });
  const json = { accept: 'application/json' };
  t.match(await ask(rig.url('/x'), json), { status: 404, text: /^\{"status":404/ });
  t.match(await ask(rig.url('/a')), { status: 502, text: '<h1>Back soon</h1>' });
  t.match(await ask(rig.url('/a'), json), { status: 502, text: '{"back":"soon"}' });
  t.match(await ask(rig.url('/a'), {}, { method: 'HEAD' }), { status: 502, text: '' });
  const odd = await ask(rig.url('/a'), { expect: 'the best' });
  t.match(odd, { status: 417, text: /417/ });
  await rig.finish();
});

t.test('http routes: headgate http', timeout, async (t) => {
  const address = await origin(t, 'one');
  const headgate = await startHeadgate(['http', '127.0.0.1:0', address, '--workers', '1']);
  t.teardown(() => headgate.kill());
  const answer = await ask(`http://${headgate.address}/a?b`, { host: 'www.example.com' });
  t.equal(answer.seen?.url, '/a?b');
  t.equal(answer.seen?.headers.host, 'www.example.com');
  t.equal(answer.seen?.headers['x-forwarded-host'], 'www.example.com');
  await expectCleanExit(t, headgate);
});

t.test('http routes: the samples do what they say', timeout, async (t) => {
  const sample = (name: string) =>
    parse(readFileSync(new URL(`../../../../config/${name}.yaml`, import.meta.url), 'utf8'));
  const start = async (name: string, endpoints: Record<string, string>) => {
    const config = sample(name);
    for (const listener of Object.values<{ bind: string }>(config.listeners)) {
      listener.bind = '127.0.0.1:0';
    }
    for (const [upstream, address] of Object.entries(endpoints)) {
      config.upstreams[upstream].endpoints = [address];
    }
    return startConfigured(t, config);
  };
  const app = await origin(t, 'app');
  const web = await start('http', { app });
  const site = (path: string, host = 'www.example.com') =>
    ask(`http://${web.headgate.address}${path}`, { host });
  t.equal((await site('/x?y', 'example.com')).headers.location, 'https://www.example.com/x?y');
  t.equal((await site('/blog/1')).headers.location, 'https://blog.example.com/blog/1');
  t.equal((await site('/healthz')).text, 'ok\n');
  t.equal((await site('/admin/x')).seen?.name, 'app');
  t.match((await site('/')).headers, { 'x-content-type-options': 'nosniff' });
  hangUp();
  await web.finish();

  const [users, next, shop] = await Promise.all(
    ['users', 'users-next', 'shop'].map((name) => origin(t, name)),
  );
  const gateway = await start('api-gateway', { users: users!, 'users-next': next!, shop: shop! });
  const api = (path: string, headers: http.OutgoingHttpHeaders = {}) =>
    ask(`http://${gateway.headgate.address}${path}`, { host: 'api.example.com', ...headers });
  t.match((await api('/v2/users/5', { 'x-canary': '1' })).seen, {
    name: 'users-next',
    url: '/users/5',
  });
  t.match((await api('/v2/users')).seen, { url: '/users' });
  const old = await api('/v1/accounts/5');
  t.match(old.seen, { name: 'users', url: '/users/5' });
  t.equal(old.headers.deprecation, 'true');
  t.match(await api('/v3'), { status: 404, text: '{"error":"no such service"}\n' });
  const bought = await api('/', { host: 'eu.shop.example.com' });
  t.match(bought.seen, { name: 'shop', headers: { host: 'shop.internal' } });
  t.match(bought.headers['set-cookie'], [/^gate=[0-9a-f]{32}; Path=\/; Max-Age=86400/]);
  hangUp();
  await gateway.finish();
});
