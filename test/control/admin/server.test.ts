import { execFile } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import t from 'tap';
import { AdminRig, type Answer, errorOf } from '#test/support/control/admin.js';
import { sleep, until } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 40_000 };

t.test('admin: HEAD has the headers of GET and no body', async (t) => {
  const rig = await AdminRig.start(t);
  const get = await rig.ask('/');
  const head = await rig.ask('/', { method: 'HEAD' });
  t.equal(head.status, 200);
  t.equal(head.body, '');
  t.equal(head.headers['content-length'], get.headers['content-length']);
  t.equal(head.headers['content-type'], get.headers['content-type']);
  t.equal((await rig.ask('/reload', { method: 'HEAD' })).status, 405);
});

t.test('admin: answers are not cached and not guessed at', async (t) => {
  const rig = await AdminRig.start(t);
  for (const path of ['/', '/metrics', '/api/flows', '/nothing']) {
    const { headers } = await rig.ask(path);
    t.equal(headers['cache-control'], 'no-store', path);
    t.equal(headers['x-content-type-options'], 'nosniff', path);
  }
});

t.test('admin: a path that is not there is 404', async (t) => {
  const rig = await AdminRig.start(t);
  for (const path of [
    '/nothing',
    '/metrics/',
    '/METRICS',
    '//metrics',
    '/api/flows/',
    '/api/../metrics',
    '/%2e%2e/metrics',
    '/api%2Fflows',
    '/__proto__',
    '/constructor',
  ]) {
    const answer = await rig.ask(path);
    t.equal(answer.status, 404, path);
    t.type(errorOf(answer), 'string');
  }
  t.equal((await rig.ask('/%zz')).status, 400);
  t.equal((await rig.ask('/%ff')).status, 400);
  t.equal((await rig.ask('/metrics?whatever#x')).status, 200);
});

t.test('admin: a method that does not apply is 405, and says which do', async (t) => {
  const rig = await AdminRig.start(t);
  for (const [method, path, allow] of [
    ['POST', '/metrics', 'GET, HEAD'],
    ['PUT', '/reload', 'POST'],
    ['GET', '/reload', 'POST'],
    ['GET', '/api/flows/0-1', 'DELETE'],
    ['DELETE', '/api/flows', 'GET, HEAD'],
    ['PATCH', '/api/upstreams/a/b', 'PUT'],
    ['TRACE', '/', 'GET, HEAD'],
    ['OPTIONS', '/', 'GET, HEAD'],
    ['PROPFIND', '/', 'GET, HEAD'],
  ] as const) {
    const answer = await rig.ask(path, { method });
    t.equal(answer.status, 405, `${method} ${path}`);
    t.equal(answer.headers.allow, allow);
  }
});

t.test('admin: what is not HTTP is answered and closed', async (t) => {
  const rig = await AdminRig.start(t);
  const host = `Host: localhost:${rig.port}`;
  for (const [bytes, status] of [
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['NONSENSE / HTTP/1.1\r\n\r\n', 400],
    [`GET /healthz HTTP/1.1\r\n${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n`, 400],
    [`GET /healthz HTTP/1.1\r\n${host}\r\nbad header\r\n\r\n`, 400],
    [
      `POST /reload HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
      400,
    ],
    [`GET /healthz HTTP/1.1\r\n${host}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\n${host}\r\n\r\n`, 431],
    ['CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n', 405],
    [`GET /healthz HTTP/1.1\r\n${host}\r\nExpect: miracles\r\n\r\n`, 417],
  ] as const) {
    const reply = await rig.raw(bytes, { timeoutMs: 8_000 });
    t.match(reply, new RegExp(`^HTTP/1.1 ${status} `), JSON.stringify(bytes.slice(0, 40)));
    t.match(reply, /\r\n\r\n\{"error":".*"\}\n$/);
  }
  t.equal((await rig.ask('/healthz')).status, 200);
});

t.test('admin: an upgrade is a request like others', async (t) => {
  const rig = await AdminRig.start(t);
  const headers = { connection: 'Upgrade', upgrade: 'websocket' };
  t.equal((await rig.ask('/healthz', { headers })).status, 200);
});

t.test('admin: a body of more than 64 KiB is 413', timeout, async (t) => {
  const rig = await AdminRig.start(t, { reload: async () => ({ ok: true, changes: [] }) });
  const post = (bytes: number, headers = {}) =>
    rig.ask('/reload', { method: 'POST', body: Buffer.alloc(bytes), headers });
  t.equal((await post(0)).status, 200);
  t.equal((await post(64 * 1024)).status, 200);
  t.equal((await post(64 * 1024 + 1)).status, 413);
  t.equal((await post(1024 * 1024)).status, 413, 'read to its end');
  const chunked = { 'transfer-encoding': 'chunked' };
  t.equal((await post(64 * 1024, chunked)).status, 200);
  t.equal((await post(64 * 1024 + 1, chunked)).status, 413);
  const head = `POST /reload HTTP/1.1\r\nHost: localhost:${rig.port}\r\nExpect: 100-continue\r\n`;
  t.match(
    await rig.raw(`${head}Content-Length: 1000000000\r\n\r\n`),
    /^HTTP\/1.1 413 /,
    'refused before it is sent',
  );
  const small = await rig.raw(`${head}Connection: close\r\nContent-Length: 2\r\n\r\n{}`);
  t.match(small, /^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
});

t.test('admin: a body that nobody wants does not cost the answer', async (t) => {
  const rig = await AdminRig.start(t);
  const body = Buffer.alloc(500_000);
  t.equal((await rig.ask('/metrics', { method: 'POST', body })).status, 405);
  t.equal((await rig.ask('/nothing', { method: 'POST', body })).status, 404);
  t.equal(
    (await rig.ask('/healthz', { body, headers: { 'content-length': 500_000 } })).status,
    200,
  );
});

t.test('admin: a client that goes away in the middle troubles nobody', async (t) => {
  const rig = await AdminRig.start(t, {
    flows: () => sleep(100).then(() => ({ flows: [], matched: 0 })),
  });
  const host = `Host: localhost:${rig.port}\r\n`;
  for (const bytes of [
    'GET /metr',
    `POST /reload HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\nabc`,
    `GET /api/flows HTTP/1.1\r\n${host}\r\n`,
    `CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`,
    'no HTTP at all\r\n\r\n',
  ]) {
    const socket = net.connect(rig.port, '127.0.0.1');
    socket.write(bytes);
    await sleep(30);
    socket.resetAndDestroy();
  }
  await sleep(150);
  t.equal((await rig.ask('/healthz')).status, 200);
  t.strictSame(rig.logs, []);
});

t.test(
  'admin: pipelined requests are served one after the other, while somebody is there',
  async (t) => {
    let asked = 0;
    let answer: () => void = () => {};
    const flows = async () => {
      asked++;
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return { flows: [], matched: 0 };
    };
    const rig = await AdminRig.start(t, { flows });
    const request = `GET /api/flows HTTP/1.1\r\nHost: localhost:${rig.port}\r\n\r\n`;
    const socket = net.connect(rig.port, '127.0.0.1').on('error', () => {});
    let text = '';
    socket.setEncoding('latin1').on('data', (more) => {
      text += more;
    });
    socket.write(request.repeat(20));
    for (let count = 1; count <= 5; count++) {
      await until(5_000, `request ${count}`, () => asked === count);
      await sleep(10);
      t.equal(asked, count, 'the next one waits');
      answer();
      await until(5_000, `answer ${count}`, () => text.split('"matched":0').length === count + 1);
    }
    await until(5_000, 'one more', () => asked === 6);
    socket.resetAndDestroy();
    await sleep(50);
    answer();
    t.equal((await rig.ask('/healthz')).status, 200);
    t.equal(asked, 6, 'nobody is there for the rest');
  },
);

t.test('admin: a request that is never finished ends with 408', timeout, async (t) => {
  const rig = await AdminRig.start(t);
  const began = performance.now();
  const host = `Host: localhost:${rig.port}\r\n`;
  const limit = { timeoutMs: 20_000 };
  const [silent, head, body] = await Promise.all([
    rig.raw('', limit),
    rig.raw(`GET / HTTP/1.1\r\n${host}`, limit),
    rig.raw(`POST /metrics HTTP/1.1\r\n${host}Content-Length: 100\r\n\r\nabc`, limit),
  ]);
  t.match(head, /^HTTP\/1.1 408 [\s\S]*\{"error":"the request took too long"\}\n$/);
  t.match(body, /^HTTP\/1.1 408 /);
  t.match(silent, /^(HTTP\/1.1 408 |$)/);
  t.ok(performance.now() - began < 15_000, 'within the request timeout');
});

t.test('admin: more than 64 connections are not served, and do no harm', timeout, async (t) => {
  const rig = await AdminRig.start(t);
  const sockets = Array.from({ length: 80 }, () => net.connect(rig.port, '127.0.0.1'));
  let closed = 0;
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.on('close', () => closed++);
    socket.resume();
  }
  await until(5_000, 'the rest is closed', () => closed === 16);
  for (const socket of sockets) socket.destroy();
  await until(5_000, 'all are closed', () => closed === 80);
  let answer: Answer | undefined;
  for (let attempt = 0; attempt < 50 && answer === undefined; attempt++) {
    await sleep(20);
    answer = await rig.ask('/healthz').catch(() => undefined);
  }
  t.equal(answer?.status, 200, 'it serves again');
});

t.test('admin: close ends what is open', async (t) => {
  const rig = await AdminRig.start(t, { flows: () => new Promise(() => {}) });
  const idle = net.connect(rig.port, '127.0.0.1').on('error', () => {});
  const ended = new Promise((resolve) => idle.once('close', resolve));
  const asked = rig.ask('/api/flows').then(
    () => 'answered',
    () => 'cut',
  );
  await sleep(50);
  rig.endpoint.close();
  t.equal(await asked, 'cut');
  idle.resume();
  await ended;
  await t.rejects(rig.ask('/'), { code: 'ECONNREFUSED' });
});

t.test('admin: a unix socket’s file is its owner’s alone, and goes with it', async (t) => {
  const path = `${temporaryDirectory(t)}/admin.sock`;
  const rig = await AdminRig.start(t, {}, { listen: `unix:${path}` });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(rig.endpoint.text, `unix:${path}`);
  t.equal((await rig.ask('/healthz')).status, 200);
  rig.endpoint.close();
  t.equal(statSync(path, { throwIfNoEntry: false }), undefined);
});

t.test('admin: it listens in every family', async (t) => {
  const six = await AdminRig.start(t, {}, { listen: '[::1]:0' });
  t.equal(six.endpoint.text, `http://[::1]:${six.port}/`);
  const headers = { host: `[0:0:0:0:0:0:0:1]:${six.port}` };
  t.equal((await six.ask('/healthz', { headers })).status, 200);
  const abstract = await AdminRig.start(t, {}, { listen: `unix:@headgate-admin-${process.pid}` });
  t.match(abstract.endpoint.text, /^unix:@headgate-admin-/);
});

testWith(missingProgram(['curl']), 'admin: curl is served', timeout, async (t) => {
  const directory = temporaryDirectory(t);
  const token = 'b1946ac92492d2347c6235b4d2611184';
  const { endpoint } = await AdminRig.start(t, {}, { token });
  await AdminRig.start(t, {}, { listen: `unix:${directory}/admin.sock` });
  const url = endpoint.text;
  t.equal(await curl(`${url}healthz`), '{"status":"ok"}\n');
  t.match(await curl(`${url}metrics`), /"expected Authorization/);
  t.match(await curl('-H', `Authorization: Bearer ${token}`, `${url}metrics`), /headgate_uptime/);
  t.match(await curl('-I', '-H', `Authorization: Bearer ${token}`, url), /^HTTP\/1.1 200 OK/);
  t.match(await curl('--unix-socket', `${directory}/admin.sock`, 'http://admin/'), /^headgate /);
  writeFileSync(`${directory}/body`, Buffer.alloc(2_000_000));
  const body = ['--data-binary', `@${directory}/body`, '-H', `Authorization: Bearer ${token}`];
  t.match(await curl('-i', ...body, `${url}reload`), /413 Payload Too Large/);
});

/** What curl prints; asynchronous, because the server is in this process. */
function curl(...args: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile('curl', ['-sS', '--max-time', '5', ...args], (_, stdout) => resolve(stdout));
  });
}
