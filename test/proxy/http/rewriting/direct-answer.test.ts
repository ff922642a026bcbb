import t from 'tap';
import type { ActionSnapshot, HttpRouteSnapshot } from '#src/proxy/http/http-snapshot.js';
import { HeadWriter } from '#src/proxy/http/message/head-writer.js';
import { ConnectionLine } from '#src/proxy/http/rewriting/index.js';
import { headOf } from '../requests.js';
import { fields, policyOf, template } from './exchange-rig.js';

const NOW_MS = Date.UTC(1994, 10, 6, 8, 49, 37, 900);
const DATE = 'Date: Sun, 06 Nov 1994 08:49:37 GMT';

function answer(
  action: ActionSnapshot,
  request: string,
  route: Partial<HttpRouteSnapshot> = {},
  connection: ConnectionLine = ConnectionLine.none,
): string {
  const { policy, client } = policyOf({ route: { action, ...route } });
  policy.begin(headOf(request), client);
  const out = new HeadWriter().begin(Buffer.alloc(4096));
  policy.route!.answer!.write(policy, connection, NOW_MS, out);
  const text = out.bytes.toString('utf8', 0, out.length);
  t.equal(text.split('\r\n\r\n')[1]!.length > 0, policy.route!.answer!.bodyBytes(policy) > 0);
  return text;
}

const respond = (some: object) => ({
  kind: 'respond' as const,
  status: 200,
  body: '',
  headers: [],
  ...some,
});
const redirect = (to: string, status = 302) => ({
  kind: 'redirect' as const,
  to: template(to),
  status,
});

t.test('respond: status, fields and content', async (t) => {
  t.equal(
    answer(respond({ status: 404, body: 'no réute\n' }), 'GET /'),
    `HTTP/1.1 404 Not Found\r\n${DATE}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 10\r\n\r\nno réute\n`,
  );
  const json = respond({ body: '{}', headers: fields({ 'content-type': 'application/json' }) });
  t.equal(
    answer(json, 'GET /', {}, ConnectionLine.close),
    `HTTP/1.1 200 OK\r\n${DATE}\r\ncontent-type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}`,
  );
  t.equal(
    answer(respond({ body: 'x' }), 'HEAD /'),
    `HTTP/1.1 200 OK\r\n${DATE}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\n\r\n`,
  );
  t.equal(
    answer(respond({ status: 204, body: 'x' }), 'GET /'),
    `HTTP/1.1 204 No Content\r\n${DATE}\r\n\r\n`,
  );
  t.equal(
    answer(respond({ status: 599 }), 'GET /'),
    `HTTP/1.1 599 \r\n${DATE}\r\nContent-Length: 0\r\n\r\n`,
  );
});

t.test('redirect: path and query are kept where the target says so', async (t) => {
  const location = (to: string, request: string) =>
    /^Location: (.*)\r$/m.exec(answer(redirect(to), request))?.[1];
  t.equal(location('/new', 'GET /old?x=1'), '/new');
  t.equal(
    location('https://www.example.com$uri', 'GET /a//b?x=%0d'),
    'https://www.example.com/a//b?x=%0d',
  );
  t.equal(location('https://$host$uri', 'GET /a\nHost: A.example:80'), 'https://A.example/a');
  t.equal(location('/new?$query', 'GET /a?b'), '/new?b');
  t.equal(location('https://$host$uri', 'GET http://a?b\nHost: a'), 'https://a/?b');
  t.equal(location('https://$host$uri', 'OPTIONS *\nHost: a'), 'https://a');
  t.equal(location('https://$host$path', 'OPTIONS http://a\nHost: a'), 'https://a');
  t.equal(
    answer(redirect('/new', 308), 'GET /'),
    `HTTP/1.1 308 Permanent Redirect\r\n${DATE}\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n`,
  );
});

t.test('redirect: a path is not taken for a host', async (t) => {
  const location = (to: string, path: string) =>
    /^Location: (.*)\r$/m.exec(answer(redirect(to), `GET ${path}`))?.[1];
  for (const path of ['//evil.example/..', '/\\evil.example/..', '/\\//\\/evil.example/..']) {
    t.equal(location('$uri', path), '/evil.example/..');
    t.equal(location('$path/?$query', `${path}?//x`), '/evil.example/../?//x');
  }
  t.equal(location('$uri', '/a//b'), '/a//b');
  t.equal(location('$uri', '/'), '/');
  t.equal(location('//cdn.example$uri', '//a'), '//cdn.example//a', 'a host that was asked for');
});

t.test('direct answers: the route’s own fields are added, and win', async (t) => {
  const responseHeaders = {
    set: fields({ Location: '/other', 'x-a': '$client_ip' }),
    add: fields({ 'x-b': '1' }),
    remove: [],
  };
  t.equal(
    answer(redirect('/new'), 'GET /', { responseHeaders }),
    `HTTP/1.1 302 Found\r\n${DATE}\r\nLocation: /other\r\nx-a: 192.0.2.1\r\nx-b: 1\r\nContent-Length: 0\r\n\r\n`,
  );
});
