import { hostname } from 'node:os';
import t from 'tap';
import { AdminRig, errorOf } from '#test/support/control/admin.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const TOKEN = 'b1946ac92492d2347c6235b4d2611184';

t.test('guard: the admin endpoint’s own names are answered', async (t) => {
  const rig = await AdminRig.start(t);
  for (const host of ['127.0.0.1', 'localhost', 'LocalHost', '[::1]']) {
    const { status } = await rig.ask('/healthz', { headers: { host: `${host}:${rig.port}` } });
    t.equal(status, 200, host);
  }
});

t.test('guard: a Host that is not its own is refused with 421', async (t) => {
  const rig = await AdminRig.start(t);
  const { port } = rig;
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    `localhost.evil.example:${port}`,
    `127.0.0.1.evil.example:${port}`,
    `${hostname()}.:${port}`,
    'localhost',
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.2:${port}`,
    `10.0.0.1:${port}`,
    `[::2]:${port}`,
    `[127.0.0.1]:${port}`,
    `0.0.0.0:${port}`,
    `0:${port}`,
    `2130706433:${port}`,
    `localhost:${port}@evil.example`,
    `evil.example#localhost:${port}`,
    `localhost:0${port}`,
    `:${port}`,
    ':',
    '[',
    '*',
  ]) {
    const answer = await rig.ask('/metrics', { headers: { host } });
    t.equal(answer.status, 421, `Host: ${host}`);
    t.match(errorOf(answer), /Host/);
  }
});

t.test('guard: there is one Host, and the request target has none', async (t) => {
  const rig = await AdminRig.start(t);
  const own = `127.0.0.1:${rig.port}`;
  const ask = (target: string, ...hosts: string[]) =>
    rig.raw(
      `GET ${target} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}Connection: close\r\n\r\n`,
    );
  t.match(await ask('/healthz', own), /^HTTP\/1.1 200 /);
  t.match(await ask('/healthz', own, 'evil.example'), /^HTTP\/1.1 400 /, 'two');
  t.match(await ask('/healthz', own, own), /^HTTP\/1.1 400 /, 'twice the same');
  t.match(await ask('/healthz'), /^HTTP\/1.1 400 /, 'none');
  t.match(await ask('/healthz', ''), /^HTTP\/1.1 421 /, 'an empty one');
  t.match(await rig.raw('GET /healthz HTTP/1.0\r\n\r\n'), /^HTTP\/1.1 400 /, 'none in HTTP/1.0');
  t.match(await ask('http://evil.example/healthz', own), /^HTTP\/1.1 400 /, 'absolute form');
  t.match(await ask(`http://${own}/healthz`, own), /^HTTP\/1.1 400 /, 'absolute form, our own');
  t.match(await ask('//evil.example/healthz', own), /^HTTP\/1.1 404 /, 'a path, however it looks');
  t.match(await ask('*', own), /^HTTP\/1.1 400 /);
});

t.test('guard: a page of another origin is refused with 403', async (t) => {
  const rig = await AdminRig.start(t, { reload: async () => t.fail('reloaded') as never });
  const own = `127.0.0.1:${rig.port}`;
  for (const origin of [
    'http://evil.example',
    'https://evil.example',
    'null',
    '',
    `http://localhost:${rig.port}`,
    `http://${own}.evil.example`,
    `http://${own}@evil.example`,
    'file://',
  ]) {
    const answer = await rig.ask('/reload', { method: 'POST', headers: { origin } });
    t.equal(answer.status, 403, `Origin: ${origin}`);
  }
  const answer = await rig.ask('/healthz', { headers: { origin: `http://${own}` } });
  t.equal(answer.status, 200);
  t.equal(answer.headers['access-control-allow-origin'], undefined);
});

t.test('guard: no preflight succeeds', async (t) => {
  const rig = await AdminRig.start(t);
  const headers = { origin: 'http://evil.example', 'access-control-request-method': 'DELETE' };
  const answer = await rig.ask('/api/flows/0-1', { method: 'OPTIONS', headers });
  t.equal(answer.status, 403);
  t.equal(answer.headers['access-control-allow-methods'], undefined);
});

t.test('guard: admin.hosts adds names, each with a port or for any', async (t) => {
  const hosts = ['Proxy1.internal', 'proxy2.internal:80', '[fd00::1]'];
  const rig = await AdminRig.start(t, {}, { hosts });
  const status = async (host: string) => (await rig.ask('/healthz', { headers: { host } })).status;
  t.equal(await status('proxy1.internal'), 200);
  t.equal(await status('PROXY1.internal:1234'), 200);
  t.equal(await status('proxy2.internal:80'), 200);
  t.equal(await status('proxy2.internal'), 421);
  t.equal(await status('[fd00::1]:9901'), 200);
  t.equal(await status('proxy3.internal'), 421);
});

t.test('guard: behind a wildcard, the address the client came to is its own', async (t) => {
  const rig = await AdminRig.start(t, {}, { listen: '*:0', token: TOKEN });
  const address = `127.0.0.7:${rig.port}`;
  const reply = await rig.raw(
    `GET /healthz HTTP/1.1\r\nHost: ${address}\r\nConnection: close\r\n\r\n`,
  );
  t.match(reply, /^HTTP\/1.1 421 /, 'came to 127.0.0.1');
  const own = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${rig.port}\r\nConnection: close\r\n\r\n`;
  t.match(await rig.raw(own), /^HTTP\/1.1 200 /);
});

t.test('guard: any Host will do on a unix socket, another origin will not', async (t) => {
  const listen = `unix:${temporaryDirectory(t)}/admin.sock`;
  const rig = await AdminRig.start(t, {}, { listen });
  for (const host of ['localhost', 'admin', 'x:1']) {
    t.equal((await rig.ask('/healthz', { headers: { host } })).status, 200, host);
  }
  const headers = { host: 'admin', origin: 'http://evil.example' };
  t.equal((await rig.ask('/healthz', { headers })).status, 403);
});

t.test('guard: with a token, everything but the probes wants it', async (t) => {
  const rig = await AdminRig.start(t, {}, { token: TOKEN });
  t.equal((await rig.ask('/healthz')).status, 200);
  t.equal((await rig.ask('/readyz')).status, 200);
  for (const path of ['/', '/metrics', '/api/flows', '/api/config', '/nothing/here', '/%zz']) {
    const answer = await rig.ask(path);
    t.equal(answer.status, 401, path);
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="headgate"');
  }
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    const headers = { authorization: `${scheme} ${TOKEN}` };
    t.equal((await rig.ask('/metrics', { headers })).status, 200, scheme);
  }
});

t.test('guard: a token that is not the token is refused', async (t) => {
  const rig = await AdminRig.start(t, {}, { token: TOKEN });
  for (const wrong of ['x', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toUpperCase(), 'é']) {
    const headers = { authorization: `Bearer ${Buffer.from(wrong).toString('latin1')}` };
    const answer = await rig.ask('/metrics', { headers });
    t.equal(answer.status, 401, wrong);
    t.match(answer.headers['www-authenticate'], /error="invalid_token"/);
  }
  for (const authorization of ['Bearer', 'Bearer ', `Basic ${TOKEN}`, TOKEN, `Bearer${TOKEN}`]) {
    t.equal((await rig.ask('/metrics', { headers: { authorization } })).status, 401, authorization);
  }
  t.equal((await rig.ask(`/metrics?token=${TOKEN}`)).status, 401, 'not in the URL');
});

t.test('guard: the token opens nothing to a foreign Host or origin', async (t) => {
  const rig = await AdminRig.start(t, {}, { token: TOKEN });
  const authorization = `Bearer ${TOKEN}`;
  const foreign = await rig.ask('/', { headers: { authorization, host: 'evil.example' } });
  t.equal(foreign.status, 421);
  const origin = 'http://evil.example';
  t.equal((await rig.ask('/', { headers: { authorization, origin } })).status, 403);
});
