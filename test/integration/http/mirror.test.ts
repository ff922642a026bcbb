// Requests that are mirrored, through a whole proxy, with servers and clients of Node.
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type net from 'node:net';
import t, { type Test } from 'tap';
import { type Headgate, start } from '#src/index.js';
import { addressOf, Load } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { bodyOf, request } from '#test/support/http/http-rig.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { payload } from '#test/support/random.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 30_000 };

interface Seen {
  readonly line: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Notes what it is asked, and answers at length. */
class Server {
  readonly seen: Seen[] = [];
  connections = 0;

  private constructor(readonly server: http.Server) {}

  static async listen(
    t: Test,
    answer: (response: http.ServerResponse) => void = (response) => response.end('fine'),
    tls?: https.ServerOptions,
  ): Promise<Server> {
    const server = tls === undefined ? http.createServer() : https.createServer(tls);
    const one = new Server(server);
    server.on('connection', () => one.connections++);
    server.on('request', async (message: http.IncomingMessage, response) => {
      const { method, url, headers } = message;
      const body = await bodyOf(message).catch(() => undefined);
      if (body === undefined) return;
      one.seen.push({ line: `${method} ${url}`, headers, body });
      answer(response);
    });
    server.keepAliveTimeout = 60_000;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    return one;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
  }
}

async function started(t: Test, http: string, upstreams: string): Promise<Headgate> {
  const headgate = await start(`workers: 2
log: { level: silent }
listeners: { web: { bind: "127.0.0.1:0", http: ${http} } }
upstreams: ${upstreams}`);
  t.teardown(() => headgate.close());
  return headgate;
}

const two = (app: Server, shadow: Server, more = '') =>
  `{ app: { endpoints: ["${app.address}"] }, shadow: { endpoints: ["${shadow.address}"]${more} } }`;

const cutsOf = (headgate: Headgate) => headgate.stats().listeners.web!.mirrorsCut;
const quiet = (headgate: Headgate) =>
  until(10_000, 'nothing is mirrored any more', () => headgate.stats().totals.mirrors_active === 0);

t.test('mirror: every request with its body, on a few connections', timeout, async (t) => {
  const [app, shadow] = [await Server.listen(t), await Server.listen(t, answerAtLength)];
  const headgate = await started(t, '{ upstream: app, mirror: shadow }', two(app, shadow));
  const url = `http://${addressOf(headgate, 'web')}`;
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  t.teardown(() => agent.destroy());
  const asked = Array.from({ length: 120 }, async (_, number) => {
    const body = number % 3 === 0 ? undefined : payload(number, number * 4000);
    const chunked = number % 3 === 1 ? { 'transfer-encoding': 'chunked' } : undefined;
    const options = { agent, method: body === undefined ? 'GET' : 'POST', headers: chunked ?? {} };
    const answer = await request(`${url}/${number}`, options, body);
    return answer.status === 200 && answer.body.toString() === 'fine';
  });
  t.ok((await within(15_000, 'all answers', Promise.all(asked))).every(Boolean));
  await quiet(headgate);
  t.same(cutsOf(headgate), {});
  const sorted = (seen: Seen[]) => seen.sort((one, other) => (one.line < other.line ? -1 : 1));
  const [first, second] = [sorted(app.seen), sorted(shadow.seen)];
  t.equal(second.length, 120);
  for (const [index, one] of first.entries()) {
    const copy = second[index]!;
    const isSame = copy.line === one.line && copy.body.equals(one.body);
    if (!isSame) t.fail(`${one.line} is another one: ${copy.line}, ${copy.body.length} bytes`);
    const { 'x-mirrored': mirrored, ...headers } = copy.headers;
    if (mirrored !== '1') t.fail(`${copy.line} does not say that it is a copy`);
    const [host, id] = [headers.host, headers['x-request-id']];
    if (host !== one.headers.host || id !== one.headers['x-request-id'])
      t.fail('another Host or id');
    if (one.headers['x-mirrored'] !== undefined) t.fail('the upstream is told that it is a copy');
  }
  t.ok(shadow.connections < 60, `${shadow.connections} connections`);
  t.equal(headgate.stats().totals.buffers_in_use, 0);
  t.equal(headgate.stats().totals.pipes_in_use, 0);
});

/** As long as a page: with a length, in chunks, up to the end. */
function answerAtLength(response: http.ServerResponse): void {
  const body = payload(1, 150_000);
  const kind = Math.random();
  if (kind < 0.1) response.writeHead(200, { connection: 'close' });
  else if (kind < 0.5) response.writeHead(500, { 'content-length': body.length });
  response.end(body);
}

t.test('mirror: routes have their own, that of the listener, or none', timeout, async (t) => {
  const [app, shadow, other] = [
    await Server.listen(t),
    await Server.listen(t),
    await Server.listen(t),
  ];
  const headgate = await started(
    t,
    `{ mirror: shadow, routes: [
      { match: { path: "/other/*" }, upstream: app, strip_prefix: /other, mirror: { upstream: other, host: upstream } },
      { match: { path: "/none/*" }, upstream: app, mirror: { upstream: shadow, sample: 0 } },
      { match: { path: "/old" }, redirect: /new },
      { upstream: app, request_headers: { set: { x-upstream: "$upstream" }, remove: [cookie] } } ] }`,
    `{ app: { endpoints: ["${app.address}"] }, shadow: { endpoints: ["${shadow.address}"] }, other: { endpoints: ["${other.address}"] } }`,
  );
  const url = `http://${addressOf(headgate, 'web')}`;
  for (const path of ['/other/a?b', '/none/a', '/old', '/c']) {
    await request(`${url}${path}`, { headers: { cookie: 'secret=1' } });
  }
  await quiet(headgate);
  t.same(
    app.seen.map(({ line }) => line),
    ['GET /a?b', 'GET /none/a', 'GET /c'],
  );
  t.same(
    other.seen.map(({ line }) => line),
    ['GET /a?b'],
  );
  t.equal(other.seen[0]!.headers.host, other.address);
  t.same(
    shadow.seen.map(({ line }) => line),
    ['GET /c'],
    'as the route forwards it',
  );
  t.equal(shadow.seen[0]!.headers['x-upstream'], 'shadow');
  t.equal(shadow.seen[0]!.headers.cookie, undefined);
});

testWith(missingProgram(['openssl']), 'mirror: to a shadow that speaks TLS', timeout, async (t) => {
  authority();
  const { chain, key } = certificate(['shadow.test']);
  kit.write('shadow-ca.pem', authority());
  const app = await Server.listen(t);
  const shadow = await Server.listen(t, answerAtLength, { cert: chain, key });
  const tls = `, tls: { ca: "${kit.path('shadow-ca.pem')}", server_name: shadow.test }`;
  const headgate = await started(t, '{ upstream: app, mirror: shadow }', two(app, shadow, tls));
  const url = `http://${addressOf(headgate, 'web')}/`;
  for (const length of [10, 300_000, 50_000, 1_000_000]) {
    const body = payload(length, length);
    t.equal((await request(url, { method: 'POST' }, body)).status, 200);
    await quiet(headgate);
    t.ok(shadow.seen.at(-1)!.body.equals(body));
  }
  t.same(cutsOf(headgate), {});
});

t.test('mirror: a shadow that never answers', timeout, async (t) => {
  const app = await Server.listen(t);
  const shadow = await Server.listen(t, () => {});
  const mirror = '{ upstream: shadow, timeout: 300ms, concurrent: 10 }';
  const headgate = await started(t, `{ upstream: app, mirror: ${mirror} }`, two(app, shadow));
  const url = `http://${addressOf(headgate, 'web')}/`;
  const load = new Load(async () => (await request(url)).status === 200);
  await sleep(1000);
  t.equal(await load.end(), 0);
  await quiet(headgate);
  const { timeout: late = 0, busy = 0, ...others } = cutsOf(headgate);
  t.same(others, {});
  t.ok(late >= 10 && busy > 0, `${late} late, ${busy} not begun`);
  t.equal(late + busy, load.count);
  t.ok(shadow.seen.length <= late);
});

t.test('mirror: a shadow that comes and goes', timeout, async (t) => {
  const app = await Server.listen(t);
  const shadow = await Server.listen(t, answerAtLength);
  const headgate = await started(
    t,
    '{ upstream: app, mirror: shadow }',
    two(app, shadow, ', health: { passive: false }'),
  );
  const url = `http://${addressOf(headgate, 'web')}/`;
  const load = new Load(async () => {
    const answer = await request(url, { method: 'POST' }, payload(2, 40_000));
    return answer.status === 200 && answer.body.toString() === 'fine';
  });
  const { port } = shadow.server.address() as net.AddressInfo;
  for (let round = 0; round < 5; round++) {
    await sleep(100);
    shadow.server.close();
    shadow.server.closeAllConnections();
    await sleep(100);
    shadow.server.listen(port, '127.0.0.1');
  }
  t.equal(await load.end(), 0, 'no client has noticed');
  await quiet(headgate);
  t.ok(shadow.seen.every(({ body }) => body.equals(payload(2, 40_000))));
  t.ok((cutsOf(headgate).unconnected ?? 0) > 0);
  t.ok(shadow.seen.length > 5);
});

t.test('mirror: the end waits for what is under way', timeout, async (t) => {
  const app = await Server.listen(t);
  const shadow = await Server.listen(t, (response) => void setTimeout(() => response.end(), 500));
  const headgate = await start(`workers: 1
log: { level: silent }
listeners: { web: { bind: "127.0.0.1:0", http: { upstream: app, mirror: shadow } } }
upstreams: ${two(app, shadow)}`);
  t.teardown(() => headgate.close());
  t.equal((await request(`http://${addressOf(headgate, 'web')}/`)).status, 200);
  const begun = Date.now();
  await within(10_000, 'the end', headgate.drain());
  t.ok(Date.now() - begun >= 300, 'the shadow had its time');
  t.same(cutsOf(headgate), {});
});
