import t from 'tap';
import { HttpPolicy, Routing } from '#src/proxy/http/http-policy.js';
import { HeadWriter } from '#src/proxy/http/message/head-writer.js';
import { RequestHead } from '#src/proxy/http/message/request-head.js';
import { RequestIds } from '#src/proxy/http/rewriting/index.js';
import { Split } from '#src/proxy/http/split.js';
import { clientAt, headOf, matchOf, routeOf } from './requests.js';
import { silent } from './rewriting/exchange-rig.js';

t.test('policy: a request takes its route, or none', async (t) => {
  const route = (path: string, name: string) =>
    routeOf({ name, match: matchOf({ paths: [{ kind: 'exact', text: path }] }) });
  const http = {
    ...silent,
    routes: [route('/a', 'first'), route('/b', 'second')],
    requestId: 'keep' as const,
  };
  const policy = new HttpPolicy(http, 'web', 0, new RequestIds());
  const client = clientAt('192.0.2.1');
  t.equal(policy.begin(headOf('GET /b'), client), 1);
  t.equal(policy.routeName, 'second');
  t.equal(policy.begin(headOf('GET /c'), client), Routing.none);
  t.equal(policy.route, undefined);
  t.equal(policy.begin(headOf('GET /..'), client), Routing.path_invalid);
});

t.test('policy: an id stays the same when the head is parsed again', async (t) => {
  const http = {
    ...silent,
    routes: [routeOf()],
    requestId: 'keep' as const,
  };
  const policy = new HttpPolicy(http, 'web', 0, new RequestIds());
  const client = clientAt('192.0.2.1');
  policy.begin(headOf('GET /'), client);
  const { route, requestNumber, requestIdText } = policy;
  policy.begin(headOf('GET /'), client);
  t.not(policy.requestIdText, requestIdText);
  policy.resume(headOf('GET /'), client, route!, requestNumber);
  t.equal(policy.requestIdText, requestIdText);
  policy.begin(headOf('GET /\nX-Request-Id: mine'), client);
  t.equal(policy.requestIdText, 'mine');
});

t.test('request ids: unique, and the same as text and as bytes', async (t) => {
  const ids = new RequestIds();
  const seen = new Set<string>();
  const out = new HeadWriter();
  for (let count = 0; count < 1000; count++) {
    const number = ids.next();
    out.begin(Buffer.alloc(64));
    ids.write(number, out);
    const text = out.bytes.toString('latin1', 0, out.length);
    t.equal(text, ids.text(number));
    t.match(text, /^[0-9a-f]{32}$/);
    seen.add(text);
  }
  t.equal(seen.size, 1000);
  out.begin(Buffer.alloc(64));
  ids.write(0x123456789abc, out);
  t.equal(out.bytes.toString('latin1', 20, out.at), '123456789abc');
  t.not(new RequestIds().text(1), ids.text(1));
});

t.test('split: each upstream gets its share, at any time', async (t) => {
  const target = (upstream: number, weight: number) => ({ upstream, name: 'a', host: 'b', weight });
  const targets = [target(3, 95), target(0, 0), target(1, 4), target(2, 1)];
  for (let worker = 0; worker < 4; worker++) {
    const split = new Split({ kind: 'forward', targets }, worker);
    const counts = [0, 0, 0, 0];
    for (let request = 1; request <= 10_000; request++) {
      counts[split.next().upstream]!++;
      for (const { upstream, weight } of targets) {
        const away = Math.abs(counts[upstream]! - (request * weight) / 100);
        if (away > 5) t.fail(`request ${request}: upstream ${upstream} is ${away} away`);
      }
    }
    t.equal(counts[0], 0);
  }
});

t.test('policy: plain HTTP is sent to HTTPS, whatever the routes say', async (t) => {
  const to = (httpsRedirect: object, request: string, scheme: 'http' | 'https' = 'http') => {
    const http = { ...silent, httpsRedirect: { port: 443, status: 308, ...httpsRedirect } };
    const policy = new HttpPolicy({ ...http, routes: [] }, 'web', 0, new RequestIds());
    policy.begin(headOf(request), clientAt('192.0.2.1', { scheme }));
    const out = new HeadWriter().begin(Buffer.alloc(1000));
    policy.answer?.write(policy, 0, 0, out);
    return out.bytes.toString('latin1', 0, out.length).replace(/Date: .*\r\n/, '');
  };
  t.equal(
    to({}, 'GET /a?b\nHost: A.example:8080'),
    'HTTP/1.1 308 Permanent Redirect\r\nLocation: https://A.example/a?b\r\nContent-Length: 0\r\n\r\n',
  );
  t.match(to({ port: 8443, status: 301 }, 'GET /'), 'https://example.com:8443/\r\n');
  t.equal(to({}, 'GET /', 'https'), '');
});

t.test(
  'policy: who names no host is served by no route either, where HTTPS is asked for',
  async (t) => {
    const httpsRedirect = { port: 443, status: 308 };
    const policy = new HttpPolicy(
      { ...silent, httpsRedirect, routes: [routeOf()] },
      'web',
      0,
      new RequestIds(),
    );
    const head = new RequestHead({ headers: 10, headBytes: 1000 });
    const bytes = Buffer.from('GET / HTTP/1.0\r\n\r\n');
    t.equal(head.parse(bytes, 0, bytes.length), bytes.length);
    t.equal(policy.begin(head, clientAt('192.0.2.1')), Routing.host_missing);
    t.same([policy.route, policy.answer], [undefined, undefined]);
    t.equal(policy.begin(head, clientAt('192.0.2.1', { scheme: 'https' })), 0);
  },
);
