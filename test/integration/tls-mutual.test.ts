// Clients with certificates of their own: who gets in, and what is said of them.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import type { Test } from 'tap';
import { missingProgram, testWith } from '#test/support/capability.js';
import { startConfigured } from '#test/support/configured.js';
import { within } from '#test/support/deadline.js';
import { startHeadgate } from '#test/support/headgate.js';
import { echoOrigin } from '#test/support/live-proxy.js';
import { runProgram } from '#test/support/program.js';
import { authority, certificate, kit } from '#test/support/tls-kit.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);

/** Whoever is issued here is nobody to `authority`. */
function stranger(): { chain: string; key: string } {
  kit.authority('strangers');
  kit.issue('stranger', { issuer: 'strangers', names: ['DNS:stranger.test'] });
  return { chain: kit.text('stranger.pem'), key: kit.text('stranger.key') };
}

/**
 * A list of what the authority has revoked.
 *
 * @param until when the next one is due, as openssl-ca(1) wants it; in 30 days unless said
 */
function revocationList(revoked: readonly { chain: string }[], until?: string): string {
  kit.write('index.txt', '');
  kit.write('crlnumber', '01\n');
  const section = 'database=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30';
  kit.write('ca.cnf', `[ca]\ndefault_ca=d\n[d]\n${section}\n`);
  const by = ['-config', 'ca.cnf', '-cert', 'authority.pem', '-keyfile', 'authority.key'];
  for (const { chain } of revoked) {
    kit.write('revoked.pem', chain);
    kit.openssl('ca', ...by, '-revoke', 'revoked.pem');
  }
  const dates =
    until === undefined ? [] : ['-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', until];
  kit.openssl('ca', ...by, '-gencrl', '-out', 'crl.pem', ...dates);
  return kit.path('crl.pem');
}

async function start(t: Test, mode: 'request' | 'require', crl: string) {
  const origin = await echoOrigin(t);
  const { chain, key } = certificate(['a.test']);
  const tls = {
    certificates: [{ cert: kit.write('server.pem', chain + key) }],
    client_auth: { mode, ca: kit.path('authority.pem'), crl },
  };
  const { headgate } = await startConfigured(t, {
    log: { access: true },
    listeners: { in: { bind: '127.0.0.1:0', tls, tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
  return headgate;
}

for (const mode of ['request', 'require'] as const) {
  testWith(missing, `tls mutual: ${mode}`, timeout, async (t) => {
    authority();
    const good = certificate(['good.test']);
    const revoked = certificate(['revoked.test']);
    const expired = certificate(['late.test'], 'ec:P-256', -1);
    const headgate = await start(t, mode, revocationList([revoked]));
    const unknown = stranger();
    let flows = 0;
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      for (const [who, own, expected] of [
        ['good', good, 'CN=good.test'],
        ['nobody', undefined, mode === 'request' ? undefined : 'client_certificate_required'],
        ['revoked', revoked, 'verify_failed:revoked'],
        ['expired', expired, 'verify_failed:expired'],
        ['unknown', unknown, 'verify_failed:unknown_issuer'],
      ] as const) {
        const what = `${who}, ${version}`;
        const isIn = expected === undefined || expected.startsWith('CN=');
        const heard = await speak(headgate.port, {
          minVersion: version,
          maxVersion: version,
          ...(own && { cert: own.chain, key: own.key }),
        });
        if (isIn) t.equal(heard, 'hello', what);
        // In TLS 1.3 clients are done before they are judged: they hear of it with the first read.
        else t.match(heard, /alert|ECONNRESET|EPROTO|handshake failure/i, what);
        const line = (await headgate.flowsEnded(++flows)).at(-1)!;
        const tls = line.tls as Record<string, unknown>;
        t.equal(isIn ? tls.peer : tls.failure, expected, what);
        t.equal(line.close === 'tls_failed', !isIn, what);
        if (isIn && own) t.equal(tls.peer_verified, true);
      }
    }
  });
}

testWith(missing, 'tls mutual: a list that is out of date lets nobody in', timeout, async (t) => {
  authority();
  const good = certificate(['good.test']);
  const headgate = await start(t, 'require', revocationList([], '20200201000000Z'));
  const heard = await speak(headgate.port, { cert: good.chain, key: good.key });
  t.match(heard, /alert|ECONNRESET/i);
  const [line] = await headgate.flowsEnded(1);
  t.match(line, { tls: { failure: 'verify_failed:revocation_list_expired' } });
});

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

testWith(
  missingProgram(['openssl', 'curl']),
  'tls mutual: the sample lets in who has a certificate, and says who it is',
  timeout,
  async (t) => {
    authority();
    const names: (string | undefined)[] = [];
    const app = createServer(({ headers }: { headers: IncomingHttpHeaders }, response) => {
      names.push(headers['x-client-subject'] as string | undefined);
      response.end('ok');
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    t.teardown(() => app.close());
    const { port } = app.address() as AddressInfo;
    const headgate = await startHeadgate(['run', '-c', 'config/mutual-tls.yaml'], {
      prefix: [
        ...['env', `CLIENT_CA=${kit.path('authority.pem')}`, 'LISTEN=127.0.0.1:0'],
        `APP=127.0.0.1:${port}`,
      ],
    });
    t.teardown(() => headgate.kill());
    for (const [name, subject] of [
      ['alice', '/CN=alice'],
      ['bob', '/OU=operators/CN=bob'],
    ] as const) {
      kit.issue(name, { issuer: 'authority', commonName: subject.slice(4) });
      kit.openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
      kit.openssl(
        ...['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '30'],
        ...['-CA', 'authority.pem', '-CAkey', 'authority.key', '-set_serial', `${name.length}`],
      );
    }
    const ask = async (path: string, name: string) => {
      const { stdout } = await runProgram(
        [
          ...['curl', '-sSk', '-o', '/dev/null', '-w', '%{http_code}'],
          ...['--cert', kit.path(`${name}.pem`), '--key', kit.path(`${name}.key`)],
          ...['-H', 'X-Client-Subject: CN=bob', `https://${headgate.address}${path}`],
        ],
        10_000,
      );
      return Number(stdout.toString());
    };
    t.equal(await ask('/', 'alice'), 200);
    t.equal(await ask('/admin/x', 'alice'), 403);
    t.equal(await ask('/admin/x', 'bob'), 200);
    t.strictSame(
      names,
      ['CN=alice', 'CN=bob,OU=operators'],
      'as the certificate says, not the client',
    );
    const nobody = ['curl', '-sSk', `https://${headgate.address}/`];
    await t.rejects(runProgram(nobody, 10_000), /alert|certificate required|reset/i);
    t.equal(names.length, 2);
  },
);
