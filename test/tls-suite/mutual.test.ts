// Clients with certificates of their own: who gets in, and what is said of them.
import { once } from 'node:events';
import { type ConnectionOptions, connect } from 'node:tls';
import type { Test } from 'tap';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { OpensslClient } from '#test/support/tls/openssl-client.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import {
  type Suite,
  type SuiteProxy,
  served,
  servedTls,
  suiteTest,
  versions,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 60_000 };
const missing = missingProgram(['openssl']);

/** Whoever is issued here is nobody to `authority`. */
function stranger(): { chain: string; key: string } {
  kit.authority('strangers');
  kit.issue('stranger', { issuer: 'strangers', names: ['DNS:stranger.test'] });
  return { chain: kit.text('stranger.pem'), key: kit.text('stranger.key') };
}

/** A certificate that is on the list `revoked.crl`. */
function revokedOne(): { chain: string; key: string } {
  authority();
  kit.issue('revoked', { issuer: 'authority', names: ['DNS:revoked.test'] });
  kit.revocationList('revoked.crl', 'authority', 86_400, ['revoked']);
  return { chain: kit.text('revoked.pem'), key: kit.text('revoked.key') };
}

async function begin(
  t: Test,
  { start }: Suite,
  mode: 'request' | 'require',
  crl: string,
): Promise<SuiteProxy> {
  const origin = await echoOrigin(t);
  const tls = servedTls({
    client_auth: { mode, ca: kit.path('authority.pem'), crl: kit.path(crl) },
  });
  return start({
    listeners: { in: { tls, tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
}

/** Says hello. @returns the echo, or the error instead */
async function speak(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: 'a.test',
    ca: authority(),
    ...options,
  });
  try {
    socket.write('hello');
    const [heard] = await within(5_000, 'an echo or an alert', once(socket, 'data'));
    return String(heard);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `${code}: ${message}`;
  } finally {
    socket.destroy();
  }
}

for (const mode of ['request', 'require'] as const) {
  suiteTest(missing, `tls mutual: ${mode}`, timeout, async (t, suite) => {
    authority();
    const good = certificate(['good.test']);
    const revoked = revokedOne();
    const expired = certificate(['late.test'], 'ec:P-256', -1);
    const proxy = await begin(t, suite, mode, 'revoked.crl');
    const unknown = stranger();
    let flows = 0;
    for (const version of versions) {
      for (const [who, own, expected] of [
        ['good', good, 'CN=good.test'],
        ['nobody', undefined, mode === 'request' ? undefined : 'client_certificate_required'],
        ['revoked', revoked, 'verify_failed:revoked'],
        ['expired', expired, 'verify_failed:expired'],
        ['unknown', unknown, 'verify_failed:unknown_issuer'],
      ] as const) {
        const what = `${who}, ${version}`;
        const isIn = expected === undefined || expected.startsWith('CN=');
        const heard = await speak(proxy.port, {
          minVersion: version,
          maxVersion: version,
          ...(own && { cert: own.chain, key: own.key }),
        });
        if (isIn) t.equal(heard, 'hello', what);
        // In TLS 1.3 clients are done before they are judged: they hear of it with the first read.
        else t.match(heard, /alert|ECONNRESET|EPROTO|handshake failure/i, what);
        const line = (await proxy.linesOf(++flows)).at(-1)!;
        const tls = line.tls as Record<string, unknown>;
        t.equal(isIn ? tls.peer : tls.failure, expected, what);
        t.equal(line.close === 'tls_failed', !isIn, what);
        if (isIn && own) t.equal(tls.peer_verified, true);
        if (!isIn) t.equal(line.bytes_up, 0, what);
      }
    }
  });
}

suiteTest(
  missing,
  'tls mutual: a list that is out of date lets nobody in',
  timeout,
  async (t, suite) => {
    authority();
    const good = certificate(['good.test']);
    kit.revocationList('late.crl', 'authority', 1);
    await sleep(1500);
    const proxy = await begin(t, suite, 'require', 'late.crl');
    const heard = await speak(proxy.port, { cert: good.chain, key: good.key });
    t.match(heard, /alert|ECONNRESET/i);
    const [line] = await proxy.linesOf(1);
    t.match(line, { tls: { failure: 'verify_failed:revocation_list_expired' } });
  },
);

suiteTest(
  missing,
  'tls mutual: whatever name is asked for, clients are judged alike',
  timeout,
  async (t, { start }) => {
    authority();
    const good = certificate(['good.test']);
    const revoked = revokedOne();
    const origin = await echoOrigin(t);
    const names = ['a.test', 'b.test', 'c.test'];
    const tls = {
      certificates: names.map((name) => served([name])),
      client_auth: { ca: kit.path('authority.pem'), crl: kit.path('revoked.crl') },
    };
    const proxy = await start({
      listeners: { in: { tls, tcp: { upstream: 'one' } } },
      upstreams: { one: { endpoints: [origin.address] } },
    });
    for (const servername of names) {
      const goodOnes = { servername, cert: good.chain, key: good.key };
      t.equal(await speak(proxy.port, goodOnes), 'hello', servername);
      const revokedOnes = { servername, cert: revoked.chain, key: revoked.key };
      t.match(await speak(proxy.port, revokedOnes), /alert|ECONNRESET/i, servername);
      const client = new OpensslClient(t, proxy.port, '-servername', servername);
      await client.says(/Acceptable client certificate CA names\n.*authority/);
      client.stop();
    }
    await until(5_000, 'all that were revoked are counted', () => {
      return proxy.stats().tls.client.failures['verify_failed:revoked'] === names.length;
    });
  },
);
