// What access lines say of requests, whatever becomes of them, and where they go.
import { scryptSync } from 'node:crypto';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import { parseExposition } from '#test/support/control/exposition.js';
import { until } from '#test/support/deadline.js';
import { request } from '#test/support/http/http-rig.js';
import { missingRoot, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { Blackhole } from '#test/support/peers/blackhole.js';
import { startConfigured } from '#test/support/programs/configured.js';
import {
  type Headgate,
  type LogLine,
  programPath,
  startHeadgate,
} from '#test/support/programs/headgate.js';
import { runProgram } from '#test/support/programs/program.js';
import { expectCleanExit, temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };

/** What an origin does when it has the head of a request. */
type Behaviour = (socket: net.Socket, head: string) => void;

/** An origin that speaks in bytes; it ends with `t`. */
async function origin(t: Test, behave: Behaviour): Promise<string> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    let head = '';
    socket.setEncoding('latin1').on('data', (text) => {
      head += text;
      for (let end = head.indexOf('\r\n\r\n'); end >= 0; end = head.indexOf('\r\n\r\n')) {
        const one = head.slice(0, end);
        head = head.slice(end + 4);
        behave(socket, one);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
}

const sized = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

function passwordHash(password: string): string {
  const salt = Buffer.from('0123456789abcdef');
  const hash = scryptSync(password, salt, 32, { N: 2 ** 10, r: 8, p: 1 });
  const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(hash)}`;
}

/** Sends bytes on a connection of their own. @returns what comes back, once the other side hangs up or `isEnough` */
async function send(
  port: number,
  bytes: string,
  isEnough: (text: string) => boolean = () => false,
): Promise<string> {
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  let text = '';
  await new Promise<void>((resolve) => {
    socket.on('error', () => resolve()).on('end', resolve);
    socket.setEncoding('latin1').on('data', (more) => {
      text += more;
      if (isEnough(text)) resolve();
    });
    socket.write(Buffer.from(bytes, 'latin1'));
  });
  socket.destroy();
  return text;
}

const hasHead = (text: string) => text.includes('\r\n\r\n');
const get = (path: string, ...fields: string[]) =>
  `${[`GET ${path} HTTP/1.1`, 'Host: a.example', ...fields].join('\r\n')}\r\n\r\n`;

async function lineOf(headgate: Headgate, target: string): Promise<LogLine> {
  return until(
    5_000,
    `the line of ${target}`,
    () => headgate.logs.find((line) => line.target === target || line.line === target) ?? '',
    headgate.context,
  ) as Promise<LogLine>;
}

t.test('access log: a line says what became of the request, and why', timeout, async (t) => {
  const ids: string[] = [];
  const good = await origin(t, (socket, head) => {
    ids.push(/x-request-id: (\w+)/i.exec(head)![1]!);
    socket.write(sized('hello'));
  });
  const upgrading = await origin(t, (socket) => {
    socket.write(
      'HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfrom the origin',
    );
    socket.on('data', () => socket.end());
  });
  const used = new WeakSet<net.Socket>();
  const stale = await origin(t, (socket) => {
    if (used.has(socket)) socket.destroy();
    else socket.write(sized('hello'));
    used.add(socket);
  });
  /** Four that reset, and one that is asked when all of them have. */
  const resetting = await Promise.all(
    [1, 2, 3, 4].map(() => origin(t, (socket) => socket.resetAndDestroy())),
  );
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n';
  const behaviours: Record<string, Behaviour> = {
    malformed: (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n'),
    resets: (socket) => socket.resetAndDestroy(),
    silent: () => {},
    cut: (socket) =>
      socket.write(sized('x'.repeat(10)).slice(0, -5), () => socket.resetAndDestroy()),
    chunks: (socket) => socket.end(`${chunked}x\r\n`),
    later: (socket) => {
      socket.write(chunked);
      setTimeout(() => socket.end('x\r\n'), 50);
    },
  };
  const upstreams: Record<string, object> = {
    good: { endpoints: [good] },
    upgrading: { endpoints: [upgrading] },
    stale: { endpoints: [stale] },
    nobody: { endpoints: [`127.0.0.1:${await freePort()}`] },
    // The backup is asked once the other has refused.
    spared: {
      endpoints: [`127.0.0.1:${await freePort()}`, { address: good, backup: true }],
    },
    persistent: { endpoints: [...resetting, { address: good, backup: true }] },
    blackhole: { endpoints: [(await Blackhole.open(t)).address] },
  };
  for (const [name, behave] of Object.entries(behaviours)) {
    upstreams[name] = { endpoints: [await origin(t, behave)] };
  }
  const route = (name: string, more: object = {}) => ({
    name,
    match: { path: `/${name}/**` },
    upstream: name in upstreams ? name : 'good',
    ...more,
  });
  const admin = `127.0.0.1:${await freePort()}`;
  const { headgate } = await startConfigured(t, {
    admin: { bind: admin },
    timeouts: { connect: '200ms', head: '400ms', response: '300ms' },
    listeners: {
      web: {
        bind: '127.0.0.1:0',
        http: {
          routes: [
            ...Object.keys(upstreams).map((name) => route(name)),
            route('four', { upstream: 'persistent', retries: 4 }),
            route('three', { upstream: 'persistent', retries: 3 }),
            route('private', { basic_auth: { users: { zoë: passwordHash('right') } } }),
            route('limited', { limits: { rate: { requests: 1, per: '1h' } } }),
            route('direct', { upstream: undefined, respond: { status: 200, body: 'by us\n' } }),
          ],
        },
      },
    },
    upstreams,
  });
  const { port } = headgate;
  const line = (target: string) => lineOf(headgate, target);
  const bytesDown = async () =>
    parseExposition(await (await fetch(`http://${admin}/metrics`)).text())
      .get('headgate_bytes_total')!
      .samples.filter(({ labels }) => labels.direction === 'down')
      .reduce((sum, { value }) => sum + value, 0);
  /** The connection on which a part of a head has come. */
  const idOfReader = () =>
    until(5_000, 'a part of a head', async () => {
      const found = await fetch(`http://${admin}/api/flows?state=readingHead`);
      return ((await found.json()) as { flows: { id: string }[] }).flows[0]?.id ?? '';
    });

  await t.test('answered', async (t) => {
    const twice = get('/good/1', 'User-Agent: caf\xc3\xa9', 'Referer: http://b/') + get('/good/2');
    await send(port, twice, (text) => text.split('hello').length === 3);
    const one = await line('/good/1');
    t.match(one, {
      ...{ msg: 'request', listener: 'web', client: '127.0.0.1', request_id: ids[0] },
      ...{ method: 'GET', host: 'a.example', version: 'HTTP/1.1', route: 'good', upstream: 'good' },
      ...{ status: 200, upstream_status: 200, endpoint: good, user_agent: 'café' },
      ...{
        referer: 'http://b/',
        bytes_up: twice.length - get('/good/2').length,
        path_down: 'copy',
      },
      ...{ duration_ms: Number, ttfb_ms: Number, connect_ms: Number },
    });
    t.ok((one.duration_ms as number) >= (one.ttfb_ms as number));
    for (const absent of ['failure', 'refusal', 'rejection', 'timeout', 'retries', 'close', 'user'])
      t.notOk(absent in one, absent);
    const two = await line('/good/2');
    t.match(two, { status: 200, request_id: ids[1] });
    t.notOk('connect_ms' in two, 'on a connection that was there');
    await send(port, get('/direct/x', 'Connection: close'));
    t.match(await line('/direct/x'), { status: 200, route: 'direct', upstream: undefined });
    await send(port, get('/none', 'Connection: close'));
    t.match(await line('/none'), { status: 404, route: undefined, upstream_status: undefined });
  });

  await t.test('not answered by the endpoint', async (t) => {
    const fails = async (target: string, expected: object) => {
      await send(port, get(target, 'Connection: close'));
      t.match(await line(target), expected, target);
    };
    await fails('/nobody/x', { status: 502, failure: 'connect_refused', upstream: 'nobody' });
    await fails('/blackhole/x', { status: 504, failure: 'connect_timeout' });
    const rejection = 'content_length_malformed';
    const malformed = { failure: 'response_malformed', upstream_rejection: rejection };
    await fails('/malformed/x', { status: 502, ...malformed });
    await fails('/resets/x', { status: 502, failure: 'upstream_reset' });
    await fails('/silent/x', { status: 504, timeout: 'response', upstream_status: undefined });
    await fails('/cut/x', { status: 200, upstream_status: 200, close: 'upstream_reset' });
    const chunk = { upstream_rejection: 'chunk_size_malformed', upstream_status: 200 };
    await fails('/chunks/x', { status: 502, failure: 'response_malformed', ...chunk });
    await fails('/later/x', { status: 200, close: 'upstream_reset', ...chunk });
  });

  await t.test('tried again', async (t) => {
    await send(port, get('/stale/1', 'Connection: close'));
    await line('/stale/1');
    await send(port, get('/stale/2', 'Connection: close'));
    t.match(await line('/stale/2'), { status: 200, retries: 1, connect_ms: Number });
    await send(port, get('/resets/y', 'Connection: close'));
    t.match(await line('/resets/y'), { status: 502, retries: undefined }, 'nobody else was there');
    await send(port, get('/spared/x', 'Connection: close'));
    t.match(await line('/spared/x'), { status: 200, endpoint: good, retries: 1 });
    await send(port, get('/three/x', 'Connection: close'));
    t.match(await line('/three/x'), { status: 502, failure: 'upstream_reset', retries: 3 });
    await send(port, get('/four/x', 'Connection: close'));
    t.match(await line('/four/x'), { status: 200, endpoint: good, retries: 4 });
  });

  await t.test('not served', async (t) => {
    const credentials = (user: string) =>
      `Authorization: Basic ${Buffer.from(user).toString('base64')}`;
    await send(port, get('/private/1', 'Connection: close'));
    t.match(await line('/private/1'), { status: 401, refusal: 'unauthorized', user: undefined });
    await send(port, get('/private/2', credentials('zoë:wrong'), 'Connection: close'));
    t.match(await line('/private/2'), { status: 401, refusal: 'unauthorized', user: undefined });
    await send(port, get('/private/3', credentials('zoë:right'), 'Connection: close'));
    t.match(await line('/private/3'), { status: 200, user: 'zoë', refusal: undefined });
    for (const path of ['/limited/1', '/limited/2'])
      await send(port, get(path, 'Connection: close'));
    t.match(await line('/limited/2'), { status: 429, refusal: 'rate_limited' });
  });

  await t.test('no request', async (t) => {
    const framing = 'Content-Length: 1\r\nTransfer-Encoding: chunked';
    const before = await bytesDown();
    const answer = await send(port, get('/ambiguous', framing));
    t.equal((await bytesDown()) - before, answer.length, 'the answer is among the bytes moved');
    const rejected = await line('GET /ambiguous HTTP/1.1');
    t.match(rejected, { msg: 'request', client: '127.0.0.1', status: 400 });
    t.match(rejected, { rejection: 'framing_ambiguous', bytes_down: Number });
    await send(port, '\x16\x03\x01');
    t.match(await line('\x16\x03\x01'), { status: 400, rejection: 'not_http' });
    await send(port, 'GET /late HTTP/1.1\r\n');
    const late = { status: 408, failure: 'head_incomplete', close: 'head_timeout' };
    t.match(await line('GET /late HTTP/1.1'), late);
    t.ok(((await line('GET /late HTTP/1.1')).duration_ms as number) >= 350);
    const gone = net.connect(port, '127.0.0.1');
    gone.end('GET /left HTTP/1.1\r\n');
    t.match(await line('GET /left HTTP/1.1'), { status: 0, failure: 'head_incomplete' });
    await send(port, get('/silent/chunks', 'Transfer-Encoding: chunked').concat('x\r\n'));
    const chunk = { status: 400, rejection: 'chunk_size_malformed', route: 'silent' };
    t.match(await line('/silent/chunks'), chunk);
  });

  await t.test('abandoned', async (t) => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    socket.write(get('/silent/gone'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.resetAndDestroy();
    t.match(await line('/silent/gone'), {
      ...{ status: 0, close: 'client_reset', upstream: 'silent' },
      ...{ bytes_down: 0, path_down: 'none' },
    });
  });

  await t.test('cut off within a head', async (t) => {
    const expected = { status: 0, failure: 'head_incomplete', bytes_up: 14 };
    const reset = net.connect(port, '127.0.0.1').on('error', () => {});
    reset.write('GET /reset HTT');
    await idOfReader();
    reset.resetAndDestroy();
    t.match(await line('GET /reset HTT'), { ...expected, close: 'client_reset' });
    const ended = net.connect(port, '127.0.0.1').on('error', () => {});
    ended.write('GET /ended HTT');
    await fetch(`http://${admin}/api/flows/${await idOfReader()}`, { method: 'DELETE' });
    t.match(await line('GET /ended HTT'), { ...expected, close: 'ended_by_admin' });
  });

  await t.test('upgraded', async (t) => {
    const socket = net.connect(port, '127.0.0.1').on('error', () => {});
    const head = get('/upgrading/x', 'Connection: upgrade', 'Upgrade: x');
    const seen = new Promise((resolve) => socket.once('data', resolve));
    socket.write(`${head}early`);
    await seen;
    socket.end('0123456789');
    const upgraded = await line('/upgrading/x');
    t.match(upgraded, { status: 101, bytes_up: head.length + 15, close: 'done' });
    t.ok(
      (upgraded.bytes_down as number) > 'from the origin'.length,
      'with what came in the tunnel',
    );
  });

  await t.test('counted, by route and by endpoint', async (t) => {
    const text = await (await fetch(`http://${admin}/metrics`)).text();
    const families = parseExposition(text);
    const requests = (labels: object) =>
      families
        .get('headgate_endpoint_requests_total')!
        .samples.filter((sample) => matches(sample.labels, labels))
        .map(({ value }) => value);
    t.same(requests({ upstream: 'good', status_class: '5xx' }), []);
    t.same(requests({ upstream: 'resets' }), [2], 'one class');
    t.same(requests({ upstream: 'resets', status_class: 'none' }), [2]);
    t.same(requests({ upstream: 'malformed', status_class: 'none' }), [1]);
    t.same(requests({ upstream: 'later', status_class: '2xx' }), [1]);
    t.same(requests({ upstream: 'stale', status_class: '2xx' }), [2]);
    t.same(requests({ upstream: 'stale', status_class: 'none' }), [], 'an idle one that died');
    t.same(requests({ upstream: 'nobody' }), [], 'it was never sent one');
    t.same(requests({ upstream: 'upgrading', status_class: '1xx' }), [1]);
    const ended = families.get('headgate_http_requests_total')!.samples;
    const of = (labels: object) => ended.find((sample) => matches(sample.labels, labels))?.value;
    t.equal(of({ route: 'nobody', status_class: '5xx' }), 1);
    t.equal(of({ route: 'silent', status_class: 'none' }), 1);
    t.equal(of({ route: 'stale', status_class: '2xx' }), 2);
  });
  await expectCleanExit(t, headgate);
});

function matches(labels: Readonly<Record<string, string>>, wanted: object): boolean {
  return Object.entries(wanted).every(([name, value]) => labels[name] === value);
}

t.test('access log: what TLS has come to is in the line', timeout, async (t) => {
  const endpoint = await origin(t, (socket) => socket.write(sized('hello')));
  const { headgate } = await startConfigured(t, {
    listeners: {
      web: {
        bind: '127.0.0.1:0',
        tls: { self_signed: ['a.example'] },
        http: { upstream: 'app' },
      },
    },
    upstreams: { app: { endpoints: [endpoint] } },
  });
  const client = tls.connect({
    ...{ host: '127.0.0.1', port: headgate.port, servername: 'a.example' },
    rejectUnauthorized: false,
  });
  client.write(get('/tls', 'Connection: close'));
  client.resume();
  t.match(await lineOf(headgate, '/tls'), {
    tls: { version: '1.3', server_name: 'a.example', resumed: false },
  });
  await send(headgate.port, 'GET / HTTP/1.1\r\n\r\n');
  const failed = await until(
    5_000,
    'the line of who spoke no TLS',
    () => headgate.logs.find(({ msg }) => msg === 'connection') ?? '',
    headgate.context,
  );
  t.match(failed, { client: /^127\.0\.0\.1:\d+$/, close: 'tls_failed', tls: { failure: String } });
  await expectCleanExit(t, headgate);
});

/** A proxy of both kinds of listeners whose configuration can be exchanged. */
class FileRig {
  private constructor(
    readonly directory: string,
    readonly headgate: Headgate,
    private readonly endpoint: string,
    private readonly tcpPort: number,
  ) {}

  static async start(t: Test, access: object): Promise<FileRig> {
    const directory = temporaryDirectory(t);
    const endpoint = await origin(t, (socket) => socket.end(sized('hello')));
    const tcpPort = await freePort();
    const file = `${directory}/headgate.yaml`;
    writeFileSync(file, FileRig.text(access, endpoint, tcpPort));
    const headgate = await startHeadgate(['run', '-c', file]);
    t.teardown(() => headgate.kill());
    return new FileRig(directory, headgate, endpoint, tcpPort);
  }

  private static text(access: unknown, endpoint: string, tcpPort: number): string {
    return JSON.stringify({
      workers: 2,
      log: { access, level: 'info' },
      listeners: {
        web: { bind: '127.0.0.1:0', http: { upstream: 'app' } },
        raw: { bind: `127.0.0.1:${tcpPort}`, tcp: { upstream: 'app' } },
      },
      upstreams: { app: { endpoints: [endpoint] } },
    });
  }

  /** @returns the line that says what came of it */
  async reload(access: unknown): Promise<LogLine> {
    const before = this.headgate.logs.length;
    const config = FileRig.text(access, this.endpoint, this.tcpPort);
    writeFileSync(`${this.directory}/headgate.yaml`, config);
    this.headgate.signal('SIGHUP');
    return until(
      5_000,
      'it is reloaded, or not',
      () => this.headgate.logs.slice(before).find(({ msg }) => /reloaded/.test(msg)) ?? '',
      this.headgate.context,
    ) as Promise<LogLine>;
  }

  /** One request and one connection. */
  async use(target: string): Promise<void> {
    await request(`http://${this.headgate.address}${target}`);
    await send(this.tcpPort, get('/raw'), hasHead);
  }

  lines(file: string): string[] {
    const path = `${this.directory}/${file}`;
    return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [];
  }

  async linesOf(file: string, count: number): Promise<string[]> {
    await until(
      5_000,
      `${count} lines in ${file}`,
      () => this.lines(file).length >= count,
      () => `${this.lines(file).join('\n')}\n${this.headgate.context()}`,
    );
    return this.lines(file);
  }

  logged(msg: string): LogLine[] {
    return this.headgate.logs.filter((line) => line.msg === msg);
  }
}

t.test('access log: a file of JSON has all lines, and the log none', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  const file = `${directory}/access.log`;
  const rig = await FileRig.start(t, { file });
  t.equal(statSync(file).mode & 0o777, 0o640);
  await rig.use('/one');
  await until(5_000, 'both lines', () => readFileSync(file, 'utf8').split('\n').length === 3);
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const found = lines.map((line) => JSON.parse(line) as LogLine);
  t.match(
    found.find(({ msg }) => msg === 'request'),
    { target: '/one', status: 200, worker: Number, time: Number },
  );
  t.match(
    found.find(({ msg }) => msg === 'flow'),
    { listener: 'raw', close: 'done', worker: Number },
  );
  t.strictSame([...rig.logged('request'), ...rig.logged('flow')], []);
  await expectCleanExit(t, rig.headgate);
});

t.test(
  'access log: files change with SIGUSR1 and SIGHUP, and no line is lost',
  timeout,
  async (t) => {
    const directory = temporaryDirectory(t);
    const path = (name: string) => `${directory}/${name}`;
    const rig = await FileRig.start(t, { file: path('access.log'), format: 'combined' });
    const read = (name: string) => (existsSync(path(name)) ? readFileSync(path(name), 'utf8') : '');
    const has = (name: string, word: string) =>
      until(5_000, `${word} in ${name}`, () => read(name).includes(word), rig.headgate.context);

    await rig.use('/first');
    await has('access.log', '"GET /first HTTP/1.1" 200 5 "-" "-"');
    await until(5_000, 'the connection is in the log', () => rig.logged('flow').length === 1);

    renameSync(path('access.log'), path('access.log.1'));
    await rig.use('/second');
    await has('access.log.1', '/second');
    rig.headgate.signal('SIGUSR1');
    await until(5_000, 'it is opened anew', () => existsSync(path('access.log')));
    await rig.use('/third');
    await has('access.log', '/third');
    t.notMatch(rig.headgate.context(), /[Dd]ebugger/, 'Node does not listen for a debugger');

    renameSync(path('access.log'), path('access.log.2'));
    t.match(await rig.reload({ file: path('access.log'), format: 'combined' }), {
      msg: 'reloaded',
    });
    await rig.use('/fourth');
    await has('access.log', '/fourth');

    const refused = await rig.reload({ file: path('not/there.log') });
    t.match(refused, {
      problems: [/^.*:\d+:\d+: log\.access\.file is ".*": there is no such dir/],
    });
    await rig.use('/fifth');
    await has('access.log', '/fifth');

    t.match(await rig.reload({ file: path('other.json') }), { msg: 'reloaded' });
    await rig.use('/sixth');
    await has('other.json', '"target":"/sixth"');
    t.match(await rig.reload(true), { msg: 'reloaded' });
    await rig.use('/seventh');
    await until(5_000, 'it is in the log', () => rig.logged('request').length === 1);
    t.match(rig.logged('request'), [{ target: '/seventh' }]);
    t.match(await rig.reload({ file: path('last.log'), format: 'combined' }), { msg: 'reloaded' });
    await rig.use('/eighth');
    // The end writes what is left.
    await expectCleanExit(t, rig.headgate);
    t.match(read('last.log'), /"GET \/eighth HTTP\/1\.1" 200/);
    t.equal(read('access.log').split('\n').length, 3, 'nothing came twice');
  },
);

t.test(
  'access log: bytes of bodies that are made here are counted without their heads',
  timeout,
  async (t) => {
    const directory = temporaryDirectory(t);
    const file = `${directory}/access.log`;
    const sizes = [0, 100, 3_000_000];
    for (const size of sizes) writeFileSync(`${directory}/${size}.txt`, 'x'.repeat(size));
    const { headgate } = await startConfigured(t, {
      log: { access: { file, format: 'combined' } },
      listeners: {
        web: {
          bind: '127.0.0.1:0',
          http: {
            routes: [
              { match: { path: '/direct' }, respond: { status: 200, body: 'by us\n' } },
              { match: { path: '/moved' }, redirect: { to: '/direct' } },
              { match: { path: '/*.txt' }, files: { root: directory } },
            ],
          },
        },
      },
    });
    const expected: RegExp[] = [];
    for (const path of ['/direct', '/moved', ...sizes.map((size) => `/${size}.txt`), '/none']) {
      for (const method of ['GET', 'HEAD']) {
        const { body } = await request(`http://${headgate.address}${path}`, { method });
        expected.push(new RegExp(`"${method} ${path} HTTP/1.1" [234]\\d\\d ${body.length} "`));
      }
    }
    const lines = () => readFileSync(file, 'utf8').split('\n').slice(0, -1);
    await until(5_000, 'all lines', () => lines().length === expected.length);
    t.match(lines(), expected);
    await expectCleanExit(t, headgate);
  },
);

const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

testWith(missingRoot(), 'access log: a file of somebody else is a mistake', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  const file = `${directory}/access.log`;
  writeFileSync(file, '', { mode: 0o600 });
  const config = `/tmp/headgate-access-${process.pid}.json`;
  writeFileSync(
    config,
    JSON.stringify({
      log: { access: { file } },
      listeners: { web: { bind: '127.0.0.1:0', tcp: { upstream: 'app' } } },
      upstreams: { app: { endpoints: ['127.0.0.1:1'] } },
    }),
  );
  t.teardown(() => runProgram(['rm', config], 5_000));
  const words = [process.execPath, programPath, 'check', '-c', config];
  await runProgram(words, 10_000);
  await t.rejects(runProgram([...nobody, ...words], 10_000), {
    message: /:1:\d+: log\.access\.file is ".*": it can't be written to \(EACCES\)/,
  });
});
