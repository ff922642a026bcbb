// The admin endpoint moves, is protected, and goes, while it is what asks for that.

import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import t, { type Test } from 'tap';
import { until } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { startHeadgate } from '#test/support/programs/headgate.js';

import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 20_000 };

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const keeping = new http.Agent({ keepAlive: true });

/** @param where `127.0.0.1:PORT` or `unix:/path` @returns the code of the error where nobody answers */
function ask(
  where: string,
  path: string,
  options: http.RequestOptions = {},
): Promise<Answer | string> {
  const [host, port] = where.split(':') as [string, string];
  const to = where.startsWith('unix:') ? { socketPath: where.slice(5) } : { host, port };
  return new Promise((resolve) => {
    const request = http.request({ ...to, path, agent: keeping, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
    });
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!));
    request.end();
  });
}

const reload = (where: string, headers = {}) => ask(where, '/reload', { method: 'POST', headers });

async function proxy(t: Test, admin: object | undefined) {
  const file = `${temporaryDirectory(t)}/headgate.yaml`;
  const write = (admin: object | undefined, bind = '127.0.0.1:0', endpoints = ['127.0.0.1:1']) => {
    const listeners = { a: { bind, tcp: { upstream: 'b' } } };
    writeFileSync(
      file,
      JSON.stringify({ workers: 1, admin, listeners, upstreams: { b: { endpoints } } }),
    );
  };
  write(admin);
  const headgate = await startHeadgate(['run', '-c', file]);
  t.teardown(() => headgate.kill());
  return { headgate, write };
}

t.test('reload: the admin endpoint moves, and answers where it was asked', timeout, async (t) => {
  const [one, other] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  const unix = `unix:${temporaryDirectory(t)}/admin.sock`;
  const { headgate, write } = await proxy(t, { bind: one });
  let from = one;
  for (const to of [other, unix, one]) {
    write({ bind: to });
    const text = to.startsWith('unix:') ? to : `http://${to}/`;
    t.same(await reload(from), {
      status: 200,
      body: { reloaded: true, changes: [`admin: now at ${text}`] },
    });
    t.match(await ask(to, '/readyz'), { status: 200 });
    const fresh = await ask(from, '/readyz', { agent: new http.Agent() });
    t.ok(fresh === 'ECONNREFUSED' || fresh === 'ENOENT', `${from}: ${JSON.stringify(fresh)}`);
    from = to;
  }
  t.notOk(statSync(unix.slice(5), { throwIfNoEntry: false }), 'its file is gone');
  t.same(await headgate.stop(), { code: 0, signal: null });
});

t.test('reload: the admin endpoint moves to an address that overlaps', timeout, async (t) => {
  const port = await freePort();
  const token = 'b1946ac92492d2347c6235b4d2611184';
  const authorization = `Bearer ${token}`;
  const { write } = await proxy(t, { bind: `127.0.0.1:${port}` });
  write({ bind: `0.0.0.0:${port}`, token });
  t.match(await reload(`127.0.0.1:${port}`), { status: 200 });
  t.match(await ask(`127.0.0.1:${port}`, '/api/flows'), { status: 401 });
  write({ bind: `127.0.0.1:${port}` });
  t.match(await reload(`127.0.0.1:${port}`, { authorization }), { status: 200 });
  t.match(await ask(`127.0.0.1:${port}`, '/api/flows'), { status: 200 });
});

t.test('reload: another token is asked for at once', timeout, async (t) => {
  const where = `127.0.0.1:${await freePort()}`;
  const [first, second] = ['0123456789abcdef0', 'fedcba98765432100'];
  const { write } = await proxy(t, { bind: where, token: first });
  write({ bind: where, token: second });
  t.same(await reload(where, { authorization: `Bearer ${first}` }), {
    status: 200,
    body: { reloaded: true, changes: ['admin: changed'] },
  });
  t.match(await reload(where, { authorization: `Bearer ${first}` }), { status: 401 });
  t.match(await reload(where, { authorization: `Bearer ${second}` }), { status: 200 });
});

t.test('reload: the admin endpoint goes, and comes by a signal', timeout, async (t) => {
  const where = `127.0.0.1:${await freePort()}`;
  const { headgate, write } = await proxy(t, { bind: where });
  write(undefined);
  t.match(await reload(where), { status: 200, body: { changes: ['admin: removed'] } });
  t.equal(await ask(where, '/readyz', { agent: new http.Agent() }), 'ECONNREFUSED');
  write({ bind: where });
  headgate.signal('SIGHUP');
  const isThere = async () => typeof (await ask(where, '/readyz')) !== 'string';
  let answers = false;
  for (let attempt = 0; attempt < 100 && !answers; attempt++) answers = await isThere();
  t.ok(answers);
  t.same(await headgate.stop(), { code: 0, signal: null });
});

t.test('reload: an admin address that is taken changes nothing', timeout, async (t) => {
  const where = `127.0.0.1:${await freePort()}`;
  const blocker = http.createServer();
  await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve));
  t.teardown(() => blocker.close());
  const { port } = blocker.address() as { port: number };
  const { headgate, write } = await proxy(t, { bind: where });
  write({ bind: `127.0.0.1:${port}` }, '127.0.0.1:0', ['127.0.0.1:2']);
  t.match(await reload(where), { status: 422, body: { problems: [/already in use/] } });
  t.match(await ask(where, '/api/upstreams'), {
    body: { upstreams: [{ endpoints: [{ address: '127.0.0.1:1' }] }] },
  });
  // What a listener has now cannot be the admin's in the same step.
  write({ bind: headgate.address }, where);
  t.match(await reload(where), { status: 422, body: { problems: [/it takes two reloads/] } });
  await until(2_000, 'two refusals', () => {
    return headgate.logs.filter(({ msg }) => msg.startsWith('not reloaded')).length === 2;
  });
});

t.test('reload: a proxy that drains says so, and does not read the file', timeout, async (t) => {
  const origin = net.createServer((socket) => socket.on('error', () => {}).write('hello'));
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => origin.close());
  const where = `127.0.0.1:${await freePort()}`;
  const { headgate, write } = await proxy(t, { bind: where });
  const to = `127.0.0.1:${(origin.address() as net.AddressInfo).port}`;
  write({ bind: where }, '127.0.0.1:0', [to]);
  t.match(await reload(where), { status: 200 });
  const client = net.connect(headgate.port, '127.0.0.1');
  t.teardown(() => client.destroy());
  await new Promise((resolve) => client.once('data', resolve));
  headgate.signal('SIGTERM');
  await until(5_000, 'it drains', () => headgate.logs.some(({ msg }) => msg === 'draining'));
  for (const endpoint of [to, 'nonsense']) {
    write({ bind: where }, '127.0.0.1:0', [endpoint]);
    t.match(await reload(where), {
      status: 503,
      body: { error: /^the proxy is stopping/, problems: ['the proxy is stopping'] },
    });
  }
  const refusals = () => headgate.logs.filter(({ msg }) => msg.startsWith('not reloaded'));
  await until(5_000, 'both are in the log', () => refusals().length === 2);
  headgate.signal('SIGHUP');
  await until(5_000, 'a signal is refused in the log', () => refusals().length === 3);
  t.match(refusals()[2], { problems: ['the proxy is stopping'] });
  const metrics = await fetch(`http://${where}/metrics`);
  t.match(await metrics.text(), /^headgate_reloads_total\{result="refused"\} 3$/m);
  keeping.destroy();
  client.destroy();
  t.same(await headgate.exit, { code: 0, signal: null });
});

const files = {
  /** Leaves so many descriptors: three are enough to read the file and to bind an address. */
  leave(pid: number, count: number): void {
    const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
    let limit = 0;
    for (let free = 0; free < count || open.has(limit); limit++) if (!open.has(limit)) free++;
    files.limit(pid, limit);
  },
  limit(pid: number, limit: number): void {
    execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${limit}:`]);
  },
};

testWith(
  missingProgram(['prlimit']),
  'reload: an admin endpoint that comes when descriptors are used up comes later',
  timeout,
  async (t) => {
    const { headgate, write } = await proxy(t, undefined);
    const where = `127.0.0.1:${await freePort()}`;
    const said = (text: string) => headgate.logs.filter(({ msg }) => String(msg).startsWith(text));
    files.leave(headgate.pid, 3);
    write({ bind: where });
    headgate.signal('SIGHUP');
    await until(5_000, 'the refusal', () => said('not reloaded').length === 1, headgate.context);
    t.same(said('not reloaded')[0]!.problems, [`cannot listen on ${where}: EMFILE`]);
    files.limit(headgate.pid, 1_000);
    headgate.signal('SIGHUP');
    await until(5_000, 'the reload', () => said('reloaded').length === 1, headgate.context);
    t.match(await ask(where, '/healthz'), { status: 200 });
    keeping.destroy();
    t.same(await headgate.stop(), { code: 0, signal: null });
  },
);

testWith(
  missingProgram(['prlimit']),
  'reload: an admin endpoint that is there moves without descriptors to load it again',
  timeout,
  async (t) => {
    const [one, other] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const { headgate, write } = await proxy(t, { bind: one });
    files.leave(headgate.pid, 3);
    write({ bind: other });
    headgate.signal('SIGHUP');
    const answered = ({ msg }: { msg: string }) => /^(not )?reloaded/.test(msg);
    await until(5_000, 'the reload', () => headgate.logs.some(answered), headgate.context);
    t.match(headgate.logs.find(answered), {
      msg: 'reloaded',
      changes: [`admin: now at http://${other}/`],
    });
    t.match(await ask(other, '/healthz'), { status: 200 });
    keeping.destroy();
    t.same(await headgate.stop(), { code: 0, signal: null });
  },
);
