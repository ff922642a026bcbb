// What a reload may bind once root was dropped.

import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import type { Test } from 'tap';
import { echoOrigin, exchange } from '#test/support/control/live-proxy.js';
import { until } from '#test/support/deadline.js';
import { missingProgram, missingRoot, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { type Headgate, startHeadgate } from '#test/support/programs/headgate.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { certificate } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 20_000 };
const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
const firstOpenPort = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));

/** A port below 1024 nobody listens at. */
async function lowPort(): Promise<number> {
  for (let port = firstOpenPort - 1; port > 0; port--) {
    const isFree = await new Promise<boolean>((resolve) => {
      const server = net.createServer();
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error('every low port is taken');
}

/** A proxy that is not root any more, and a way to give it other addresses. */
async function unprivileged(t: Test, top: object, bind: string, prefix: readonly string[] = []) {
  const app = await echoOrigin(t);
  const directory = temporaryDirectory(t);
  chmodSync(directory, 0o755);
  const file = `${directory}/headgate.yaml`;
  const write = (bind: string[], socket = {}) => {
    const listeners = { a: { bind, socket, tcp: { upstream: 'b' } } };
    const upstreams = { b: { endpoints: [app.address] } };
    writeFileSync(file, JSON.stringify({ workers: 2, ...top, listeners, upstreams }));
  };
  write([bind]);
  const headgate = await startHeadgate(['run', '-c', file], { prefix });
  t.teardown(() => headgate.kill());
  let reloads = 0;
  const reload = async (bind: string[], socket = {}) => {
    write(bind, socket);
    headgate.signal('SIGHUP');
    reloads++;
    await until(5_000, 'the reload', () => reported(headgate).length === reloads, headgate.context);
    return reported(headgate)[reloads - 1]!;
  };
  return { headgate, reload };
}

const reported = ({ logs }: Headgate) =>
  logs.filter(({ msg }) => /^(reloaded|not reloaded)/.test(msg));

testWith(missingRoot(), 'reload: after root is dropped, low ports are free', timeout, async (t) => {
  const port = await freePort();
  const user = { user: 'nobody', no_new_privs: true };
  const { headgate, reload } = await unprivileged(t, user, `127.0.0.1:${port}`);
  const status = readFileSync(`/proc/${headgate.pid}/status`, 'utf8');
  // CAP_NET_BIND_SERVICE is number 10.
  t.match(status, /^CapEff:\t0000000000000400$/m, 'this and nothing else is left of root');
  t.match(status, /^CapPrm:\t0000000000000400$/m);
  const low = await lowPort();
  t.match(await reload([`127.0.0.1:${port}`, `127.0.0.1:${low}`]), { msg: 'reloaded' });
  t.ok(await exchange(t, `127.0.0.1:${low}`));
  t.match(await reload([`0.0.0.0:${port}`]), { msg: 'reloaded' }, 'and what root bound is widened');
  t.ok(await exchange(t, `127.0.0.1:${port}`));
  t.match(await reload([`0.0.0.0:${port}`], { transparent: true }), {
    problems: [/IP_TRANSPARENT is not permitted \(EPERM\).*CAP_NET_ADMIN/],
  });
  t.ok(await exchange(t, `127.0.0.1:${port}`));
});

testWith(
  missingRoot() ?? missingProgram(['setpriv']),
  'reload: who never was root is told what a low port needs',
  timeout,
  async (t) => {
    const port = await freePort();
    const { reload } = await unprivileged(t, {}, `127.0.0.1:${port}`, nobody);
    const low = await lowPort();
    t.match(await reload([`127.0.0.1:${low}`]), {
      msg: /^not reloaded/,
      problems: [
        /cannot listen on 127\.0\.0\.1:\d+: permission denied \(EACCES\): ports below 1024/,
      ],
    });
    t.ok(await exchange(t, `127.0.0.1:${port}`), 'nothing has changed');
  },
);

testWith(
  missingRoot() ?? missingProgram(['openssl']),
  'reload: what only root may read is told at the start',
  timeout,
  async (t) => {
    const { chain, key } = certificate(['a.test']);
    const directory = temporaryDirectory(t);
    chmodSync(directory, 0o755);
    const write = (name: string, content: string, mode: number) => {
      writeFileSync(`${directory}/${name}`, content);
      chmodSync(`${directory}/${name}`, mode);
      return `${directory}/${name}`;
    };
    const cert = write('site.pem', chain, 0o644);
    const secret = write('site.key', key, 0o600);
    const respond = { status: 200, body: 'here' };
    const tls = { certificates: [{ cert, key: secret }] };
    const listeners = { a: { bind: '127.0.0.1:0', tls, http: { routes: [{ respond }] } } };
    const file = write('headgate.yaml', JSON.stringify({ user: 'nobody', listeners }), 0o644);
    const warnings = ({ logs }: Headgate) => logs.filter(({ msg }) => /^the user/.test(msg));
    const blind = await startHeadgate(['run', '-c', file]);
    t.teardown(() => blind.kill());
    await until(5_000, 'the warning', () => warnings(blind).length > 0, blind.context);
    t.match(warnings(blind), [
      {
        user: 'nobody',
        problems: [/headgate\.yaml:1:\d+: .*certificates\[0\]\.key.* it can't be read: EACCES/],
      },
    ]);
    blind.signal('SIGHUP');
    await until(5_000, 'the reload', () => reported(blind).length > 0, blind.context);
    t.match(reported(blind), [{ msg: /^not reloaded/ }], 'as it was told');
    await blind.stop();
    chmodSync(secret, 0o644);
    const seeing = await startHeadgate(['run', '-c', file]);
    t.teardown(() => seeing.kill());
    seeing.signal('SIGHUP');
    await until(5_000, 'the reload', () => reported(seeing).length > 0, seeing.context);
    t.match(reported(seeing), [{ msg: 'reloaded' }]);
    t.same(warnings(seeing), []);
  },
);
