// Files through the whole program: in the clear and over TLS, across a reload, and in directories that move.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import t, { type Test } from 'tap';
import { start } from '#src/index.js';
import { addressOf } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { request } from '#test/support/http/http-rig.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { payload } from '#test/support/random.js';

const timeout = { timeout: 60_000 };
const large = payload(1, 20_000_000);
const small = payload(2, 3000);
const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function makeRoot(t: Test): string {
  const root = t.testdir({ 'a.txt': 'hello' });
  writeFileSync(`${root}/large`, large);
  writeFileSync(`${root}/small`, small);
  return root;
}

for (const kind of ['plain', 'tls'] as const) {
  t.test(`files: whole and in parts, ${kind}, eight clients at once`, timeout, async (t) => {
    const root = makeRoot(t);
    const { headgate } = await startConfigured(t, {
      log: { access: true },
      listeners: {
        web: {
          bind: '127.0.0.1:0',
          ...(kind === 'tls' && { tls: { self_signed: ['localhost'], kernel: 'off' } }),
          http: { routes: [{ files: { root } }] },
        },
      },
    });
    const client = kind === 'tls' ? https : http;
    const agent = new client.Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false });
    t.teardown(() => agent.destroy());
    const get = (path: string, headers: Record<string, string> = {}) =>
      new Promise<{ status: number; body: Buffer }>((resolve, reject) => {
        const options = { host: '127.0.0.1', port: headgate.port, path, agent, headers };
        client
          .get(options, (response) => {
            const chunks: Buffer[] = [];
            response.on('data', (chunk: Buffer) => chunks.push(chunk));
            response.on('error', reject);
            response.on('end', () =>
              resolve({ status: response.statusCode!, body: Buffer.concat(chunks) }),
            );
          })
          .on('error', reject);
      });
    const fetchAll = async () => {
      t.equal(sha((await get('/large')).body), sha(large));
      t.ok((await get('/small')).body.equals(small));
      const part = await get('/large', { range: 'bytes=12345-15000000' });
      t.equal(part.status, 206);
      t.equal(sha(part.body), sha(large.subarray(12_345, 15_000_001)));
      const parts = await get('/large', { range: 'bytes=0-99, 1000000-8000000' });
      t.ok(parts.body.includes(large.subarray(1_000_000, 8_000_001)));
      t.equal((await get('/none')).status, 404);
    };
    await within(40_000, 'all downloads', Promise.all(Array.from({ length: 8 }, fetchAll)));
    const lines = () => headgate.logs.filter(({ msg }) => msg === 'request');
    await until(5000, 'the access lines', () => lines().length === 40);
    const pathOf = (target: string) => lines().find((line) => line.target === target)!.path_down;
    t.equal(pathOf('/large'), kind === 'tls' ? 'userland_tls' : 'sendfile');
    t.equal(pathOf('/small'), kind === 'tls' ? 'userland_tls' : 'copy');
    agent.destroy();
    t.same(await headgate.stop(), { code: 0, signal: null });
  });
}

t.test('files: a reload changes the root, and a download goes on', timeout, async (t) => {
  const top = t.testdir({ one: { 'a.txt': 'one' }, two: { 'a.txt': 'two' } });
  writeFileSync(`${top}/one/large`, large);
  const text = (root: string) => `workers: 2
log: { level: silent }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ files: { root: ${top}/${root} } }] }`;
  const headgate = await start(text('one'));
  t.teardown(() => headgate.close());
  const url = `http://${addressOf(headgate, 'web')}`;
  const openOf = () => headgate.stats().totals.files_open;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) =>
    http.get(`${url}/large`, { agent: false }, resolve).on('error', reject),
  );
  response.pause();
  t.equal((await request(`${url}/a.txt`)).body.toString(), 'one');
  t.match(await headgate.reload(text('two')), { ok: true });
  t.equal((await request(`${url}/a.txt`)).body.toString(), 'two');
  t.equal((await request(`${url}/large`)).status, 404);
  const hash = createHash('sha256');
  await within(
    20_000,
    'the download',
    (async () => {
      for await (const chunk of response) hash.update(chunk as Buffer);
    })(),
  );
  t.equal(hash.digest('hex'), sha(large));
  await until(5000, 'only what is served is open', () => openOf() <= 2);
  await t.rejects(headgate.reload(text('three')), /there is no such directory/);
  t.equal((await request(`${url}/a.txt`)).body.toString(), 'two');
});

t.test('files: directories that move under load lead nowhere else', timeout, async (t) => {
  const top = t.testdir({ root: { 'in.txt': 'inside' }, out: { 'x.txt': 'outside' } });
  const root = `${top}/root`;
  mkdirSync(`${root}/a`);
  writeFileSync(`${root}/a/x.txt`, 'inside');
  symlinkSync('../out', `${root}/away`);
  const headgate = await start(`workers: 2
log: { level: silent }
listeners:
  web:
    bind: "127.0.0.1:0"
    http: { routes: [{ files: { root: ${root}, revalidate: 0s } }] }`);
  t.teardown(() => headgate.close());
  const url = `http://${addressOf(headgate, 'web')}/a/x.txt`;
  const seen = new Map<string, number>();
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  let isOver = false;
  const clients = Array.from({ length: 8 }, async () => {
    while (!isOver) {
      const { status, body } = await request(url, { agent });
      const what = status === 200 ? body.toString() : String(status);
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
  });
  for (let round = 0; round < 2000; round++) {
    renameSync(`${root}/a`, `${root}/b`);
    renameSync(`${root}/away`, `${root}/a`);
    renameSync(`${root}/a`, `${root}/away`);
    renameSync(`${root}/b`, `${root}/a`);
    if (round % 20 === 0) await sleep(1);
  }
  isOver = true;
  await Promise.all(clients);
  t.same(
    [...seen.keys()].filter((what) => what !== 'inside' && what !== '404' && what !== '503'),
    [],
  );
  t.ok(seen.get('inside')! > 0);
});
