import t from 'tap';
import type { AdminTarget, EndpointOrder } from '#src/control/admin/index.js';
import { NoAnswer } from '#src/control/workers/questions.js';
import type { FlowQuery } from '#src/proxy/index.js';
import { AdminRig, errorOf } from '#test/support/control/admin.js';
import { parseExposition } from '#test/support/control/exposition.js';

const json = { 'content-type': 'application/json' };

t.test('admin: the index names everything there is, and all of it is there', async (t) => {
  const rig = await AdminRig.start(t);
  const index = await rig.ask('/');
  t.equal(index.headers['content-type'], 'text/plain; charset=utf-8');
  const offers = [...index.body.matchAll(/^([A-Z]+) +(\/\S*) /gm)];
  t.equal(offers.length, 10);
  for (const [, method, path] of offers) {
    const { status, body } = await rig.ask(path!, { method: method! });
    t.notMatch(body, /there is nothing here/, `${method} ${path}`);
    t.not(status, 405);
  }
});

t.test('admin: /metrics is Prometheus’ text format', async (t) => {
  const rig = await AdminRig.start(t);
  const answer = await rig.ask('/metrics');
  t.equal(answer.status, 200);
  t.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
  t.ok(parseExposition(answer.body).has('headgate_build_info'));
});

t.test('admin: health and readiness are two things', async (t) => {
  let isHealthy = true;
  let isReady = true;
  const rig = await AdminRig.start(t, { isHealthy: () => isHealthy, isReady: () => isReady });
  const both = async () =>
    [(await rig.ask('/healthz')).status, (await rig.ask('/readyz')).status].join();
  t.equal(await both(), '200,200');
  isReady = false;
  t.equal(await both(), '200,503', 'draining');
  isHealthy = false;
  t.equal(await both(), '503,503');
  t.match(errorOf(await rig.ask('/healthz')), /worker/);
});

t.test('admin: flows are asked for as the query says', async (t) => {
  const queries: FlowQuery[] = [];
  const target: Partial<AdminTarget> = {
    flows: async (query) => {
      queries.push(query);
      return { flows: [], matched: 7 };
    },
  };
  const rig = await AdminRig.start(t, target);
  const answer = await rig.ask('/api/flows');
  t.strictSame(JSON.parse(answer.body), { flows: [], matched: 7 });
  await rig.ask(
    '/api/flows?listener=web&upstream=a%20b&client=%5B%3A%3A1%5D%3A5&state=halfClosed&sort=bytes&limit=10000',
  );
  t.strictSame(queries, [
    { sort: 'age', limit: 100 },
    {
      listener: 'web',
      upstream: 'a b',
      client: '[::1]:5',
      state: 'halfClosed',
      sort: 'bytes',
      limit: 10_000,
    },
  ]);
});

for (const [query, problem] of [
  ['limit=0', /limit is "0"/],
  ['limit=10001', /limit is "10001", expected a whole number from 1 to 10000/],
  ['limit=1e3', /limit/],
  ['limit=', /limit/],
  ['limit=-1', /limit/],
  ['limit=99999999999999999999', /limit/],
  ['sort=size', /sort is "size", expected age or bytes/],
  ['state=open', /state is "open", expected accepted, .*halfClosed/],
  ['state=toString', /state/],
  ['user=x', /unknown parameter "user"/],
  ['__proto__=x', /unknown parameter "__proto__"/],
  ['sort=age&sort=bytes', /sort is there twice/],
] as const) {
  t.test(`admin: /api/flows?${query} is a bad request`, async (t) => {
    const rig = await AdminRig.start(t, { flows: async () => t.fail('asked') as never });
    const answer = await rig.ask(`/api/flows?${query}`);
    t.equal(answer.status, 400);
    t.match(errorOf(answer), problem);
  });
}

t.test('admin: a worker that does not answer is 503', async (t) => {
  const target: Partial<AdminTarget> = {
    flows: () => Promise.reject(new NoAnswer('worker 1 did not answer')),
    endFlow: () => Promise.reject(new NoAnswer('worker 1 did not answer')),
  };
  const rig = await AdminRig.start(t, target);
  t.equal(errorOf(await rig.ask('/api/flows')), 'worker 1 did not answer');
  t.equal((await rig.ask('/api/flows')).status, 503);
  t.equal((await rig.ask('/api/flows/1-1', { method: 'DELETE' })).status, 503);
});

t.test('admin: DELETE ends a flow, once', async (t) => {
  const live = new Set(['0-7']);
  const rig = await AdminRig.start(t, { endFlow: async (id) => live.delete(id) });
  const end = () => rig.ask('/api/flows/0-7', { method: 'DELETE' });
  const first = await end();
  t.equal(first.status, 200);
  t.strictSame(JSON.parse(first.body), { ended: '0-7' });
  t.equal((await end()).status, 404);
});

t.test('admin: secrets in the configuration are masked', async (t) => {
  const config = () => ({
    admin: { token: 'b1946ac92492d2347c6235b4d2611184', hosts: [] },
    upstreams: [{ name: 'token', tls: { password: 'hunter2', key: 'a.pem' } }],
    other: { token: null },
    set: [
      { name: 'authorization', value: ['Bearer hunter3'] },
      { name: 'x-api-key', value: { kind: 'exact', text: 'hunter4' } },
      { name: 'x-served-by', value: ['one'] },
    ],
  });
  const rig = await AdminRig.start(t, { config });
  const { body } = await rig.ask('/api/config');
  t.strictSame(JSON.parse(body), {
    admin: { token: '***', hosts: [] },
    upstreams: [{ name: 'token', tls: { password: '***', key: 'a.pem' } }],
    other: { token: null },
    set: [
      { name: 'authorization', value: '***' },
      { name: 'x-api-key', value: '***' },
      { name: 'x-served-by', value: ['one'] },
    ],
  });
});

t.test('admin: an endpoint is drained and made ready by name and address', async (t) => {
  const orders: [string, string, EndpointOrder][] = [];
  const target: Partial<AdminTarget> = {
    upstreams: () => [
      { name: 'api', waiting: 0, endpoints: [{ address: '[::1]:3000', state: 'ready' }] },
    ],
    setEndpoint: (...order) => {
      orders.push(order);
      return order[0] === 'api';
    },
  };
  const rig = await AdminRig.start(t, target);
  t.strictSame(JSON.parse((await rig.ask('/api/upstreams')).body), {
    upstreams: [
      { name: 'api', waiting: 0, endpoints: [{ address: '[::1]:3000', state: 'ready' }] },
    ],
  });
  const put = (path: string, body: string, headers: object = json) =>
    rig.ask(`/api/upstreams/${path}`, { method: 'PUT', headers: { ...headers }, body });
  t.equal((await put('api/127.0.0.1:3000', '{"state":"drain"}')).status, 200);
  t.equal((await put('api/[::1]:3000', '{"state":"ready"}')).status, 200);
  t.equal((await put('api/unix:%2Frun%2Fapp.sock', '{"state":"drain"}')).status, 200);
  t.equal((await put('nothing/127.0.0.1:3000', '{"state":"drain"}')).status, 404);
  t.strictSame(orders, [
    ['api', '127.0.0.1:3000', 'drain'],
    ['api', '[::1]:3000', 'ready'],
    ['api', 'unix:/run/app.sock', 'drain'],
    ['nothing', '127.0.0.1:3000', 'drain'],
  ]);
  for (const body of ['', '{', 'null', '[]', '"drain"', '{}', '{"state":"down"}', '{"state":1}']) {
    t.equal((await put('api/x', body)).status, 400, body);
  }
  const charset = { 'content-type': 'Application/JSON; charset=utf-8' };
  t.equal((await put('api/x', '{"state":"drain"}', charset)).status, 200);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  t.equal((await put('api/x', 'state=drain', form)).status, 415);
  t.equal((await put('api/x', '{"state":"drain"}', {})).status, 415);
});

t.test('admin: PUT without a body is 411', async (t) => {
  const rig = await AdminRig.start(t, { setEndpoint: () => t.fail('asked') as never });
  const head = `PUT /api/upstreams/a/b HTTP/1.1\r\nHost: localhost:${rig.port}\r\n`;
  const reply = await rig.raw(`${head}Content-Type: application/json\r\nConnection: close\r\n\r\n`);
  t.match(reply, /^HTTP\/1.1 411 /);
});

t.test('admin: reload says what changed, or every problem', async (t) => {
  const problems = ['headgate.yaml:1:1: no', 'headgate.yaml:2:1: neither'];
  let isValid = true;
  let isStopping = false;
  const rig = await AdminRig.start(t, {
    isStopping: () => isStopping,
    reload: async () => (isValid ? { ok: true, changes: ['web: new'] } : { ok: false, problems }),
  });
  const reload = () => rig.ask('/reload', { method: 'POST' });
  const good = await reload();
  t.equal(good.status, 200);
  t.strictSame(JSON.parse(good.body), { reloaded: true, changes: ['web: new'] });
  isValid = false;
  const bad = await reload();
  t.equal(bad.status, 422);
  t.match(JSON.parse(bad.body), { error: /nothing was changed/, problems });
  isStopping = true;
  const late = await reload();
  t.equal(late.status, 503, 'nothing can be loaded, whatever the file says');
  t.match(JSON.parse(late.body), { error: /^the proxy is stopping/, problems });
});

t.test('admin: a bug is 500, logged, and the end of nothing', async (t) => {
  const rig = await AdminRig.start(t, {
    config: () => {
      throw new Error('bug');
    },
    endFlow: () => Promise.reject(new Error('another')),
  });
  const answer = await rig.ask('/api/config');
  t.equal(answer.status, 500);
  t.notMatch(answer.body, /bug/);
  t.equal((await rig.ask('/api/flows/0-1', { method: 'DELETE' })).status, 500);
  t.match(rig.logs.join(''), /"message":"bug".*"url":"\/api\/config"/);
  t.equal((await rig.ask('/healthz')).status, 200);
});
