import t from 'tap';
import { HeadWriter } from '#src/proxy/http/head-writer.js';
import { HttpPolicy, Routing } from '#src/proxy/http/http-policy.js';
import { RequestIds } from '#src/proxy/http/rewriting/index.js';
import { Split } from '#src/proxy/http/split.js';
import { clientAt, headOf, matchOf, routeOf } from './requests.js';

t.test('policy: a request takes its route, or none', async (t) => {
  const route = (path: string, name: string) =>
    routeOf({ name, match: matchOf({ paths: [{ kind: 'exact', text: path }] }) });
  const http = {
    routes: [route('/a', 'first'), route('/b', 'second')],
    trustedProxies: [],
    xForwarded: false,
    forwarded: false,
    requestId: 'keep' as const,
    via: null,
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
    routes: [routeOf()],
    trustedProxies: [],
    xForwarded: false,
    forwarded: false,
    requestId: 'keep' as const,
    via: null,
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
  t.equal(out.bytes.toString('latin1', 20, out.length), '123456789abc');
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
