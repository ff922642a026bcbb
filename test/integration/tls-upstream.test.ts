// TLS to endpoints, by the command line and by a file: who is trusted, and what is said of who is not.
import { once } from 'node:events';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { connect as connectPlain, echoOrigin, says } from '#test/support/control/live-proxy.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { type Headgate, startHeadgate } from '#test/support/programs/headgate.js';
import { runProgram } from '#test/support/programs/program.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);

interface Certified {
  readonly names?: readonly string[];
  readonly days?: number;
  /** Asks for a certificate of the authority's. */
  readonly wantsClient?: boolean;
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** An echo over TLS. */
async function secureEcho(t: Test, certified: Certified = {}) {
  const { names = ['app.test'], days, wantsClient, maxVersion = 'TLSv1.2' } = certified;
  const { chain, key } = certificate(names, 'ec:P-256', days);
  const asks = wantsClient && { requestCert: true, ca: authority() };
  const sockets: TLSSocket[] = [];
  const server = createServer({ cert: chain, key, maxVersion, ...asks }, (socket) => {
    sockets.push(socket.on('error', () => {}));
    socket.pipe(socket);
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, sockets };
}

async function start(
  t: Test,
  args: readonly string[],
  prefix?: readonly string[],
): Promise<Headgate> {
  const words = ['tcp', '127.0.0.1:0', ...args, '--workers', '1', '--access-log'];
  const headgate = await startHeadgate(words, prefix && { prefix });
  t.teardown(() => headgate.kill());
  return headgate;
}

const secure = '--upstream-tls';

testWith(missing, 'tls upstream: who is trusted', timeout, async (t) => {
  authority();
  const { address } = await secureEcho(t);
  const own = await secureEcho(t, { names: ['127.0.0.1'] });
  const ca = kit.path('authority.pem');
  const named = ['--upstream-name', 'app.test'];
  for (const [what, args, prefix] of [
    ['by an authority of its own', [address, secure, '--upstream-ca', ca, ...named], undefined],
    ['by the system’s', [address, secure, ...named], ['env', `SSL_CERT_FILE=${ca}`]],
    ['as the address it is', [own.address, secure, '--upstream-ca', ca], undefined],
  ] as const) {
    const headgate = await start(t, args, prefix);
    const client = connectPlain(t, headgate.address);
    t.ok(await says(client, 'there and back'), what);
    client.end();
    const [line] = await headgate.flowsEnded(1);
    t.match(line, { close: 'done', upstream_tls: { version: '1.2', peer_verified: true } }, what);
    await headgate.stop();
  }
});

testWith(missing, 'tls upstream: who is not, and what to do', timeout, async (t) => {
  authority();
  kit.authority('other');
  const good = await secureEcho(t);
  const late = await secureEcho(t, { days: -1 });
  const picky = await secureEcho(t, { wantsClient: true });
  const picky13 = await secureEcho(t, { wantsClient: true, maxVersion: 'TLSv1.3' });
  const plain = await echoOrigin(t);
  const ca = ['--upstream-ca', kit.path('authority.pem')];
  const named = ['--upstream-name', 'app.test'];
  const verify = 'verify_failed:';
  for (const [address, options, failure, advice] of [
    [good.address, named, `${verify}unknown_issuer`, '`tls.ca`'],
    [
      good.address,
      [...named, '--upstream-ca', kit.path('other.pem')],
      `${verify}unknown_issuer`,
      '`tls.ca`',
    ],
    [good.address, [...ca, '--upstream-name', 'b.test'], `${verify}name_mismatch`, 'server_name'],
    [good.address, ca, `${verify}name_mismatch`, 'server_name'],
    [late.address, [...ca, ...named], `${verify}expired`, 'renew the certificate'],
    [picky.address, [...ca, ...named], 'alert_received:handshake_failure', '`tls.cert`'],
    [picky13.address, [...ca, ...named], 'alert_received:certificate_required', '`tls.cert`'],
    [plain.address, [...ca, ...named], /^(eof|protocol_error|not_tls)$/, 'speaks TLS'],
  ] as const) {
    const headgate = await start(t, [address, secure, ...options]);
    const what = `${failure}, ${options.join(' ')}`;
    const isLate = address === picky13.address;
    for (let round = 0; round < 3; round++) {
      const client = connectPlain(t, headgate.address);
      t.notOk(await says(client, 'a secret'), what);
    }
    const lines = await headgate.flowsEnded(3);
    // In TLS 1.3 a server looks at the client's certificate when the client has gone on.
    const close = isLate ? 'upstream_reset' : 'upstream_tls_failed';
    t.match(lines[0], { close, bytes_down: 0, upstream_tls: { failure } }, what);
    if (!isLate) t.equal(lines[0]!.bytes_up, 0, what);
    const warnings = headgate.logs.filter(({ level }) => level >= 40);
    t.equal(warnings.length, 1, 'not once for every connection');
    t.match(warnings[0], { level: 40, upstream: 'tcp', endpoint: address, failure, failures: 1 });
    t.ok(warnings[0]!.msg.includes(advice), warnings[0]!.msg);
    await headgate.stop();
  }
  t.equal(plain.failures.length, 0);
});

testWith(missing, 'tls upstream: requests to one that wants a certificate', timeout, async (t) => {
  authority();
  const own = certificate(['gate.test']);
  const [cert, key] = [kit.write('gate.pem', own.chain), kit.write('gate.key', own.key)];
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { chain, key: appKey } = certificate(['app.test']);
    const asks = { requestCert: true, ca: authority(), maxVersion };
    const app = createHttpsServer({ cert: chain, key: appKey, ...asks }, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.end(subject.CN);
    });
    app.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    t.teardown(() => app.close());
    const endpoint = `127.0.0.1:${(app.address() as AddressInfo).port}`;
    for (const isKnown of [false, true]) {
      const tls = { ca: kit.path('authority.pem'), server_name: 'app.test' };
      const { headgate } = await startConfigured(t, {
        listeners: { in: { bind: '127.0.0.1:0', http: { routes: [{ upstream: 'one' }] } } },
        upstreams: {
          one: { endpoints: [endpoint], tls: { ...tls, ...(isKnown && { cert, key }) } },
        },
      });
      const answer = await fetch(`http://${headgate.address}/`);
      const text = await answer.text();
      t.equal(answer.status, isKnown ? 200 : 502, maxVersion);
      const warning = () => headgate.logs.find(({ upstream, level }) => upstream && level === 40);
      if (isKnown) t.equal(text, 'gate.test');
      else t.match(await until(3_000, 'a warning', warning), { msg: /`tls.cert`/ }, maxVersion);
      await headgate.stop();
      if (isKnown) t.equal(warning(), undefined);
    }
  }
});

testWith(missing, 'tls upstream: terminated and encrypted again', timeout, async (t) => {
  authority();
  const front = certificate(['a.test']);
  const cert = kit.write('front.pem', front.chain);
  const key = kit.write('front.key', front.key);
  const { address } = await secureEcho(t);
  const headgate = await start(t, [
    ...[address, '--tls-cert', cert, '--tls-key', key],
    ...[secure, '--upstream-ca', kit.path('authority.pem'), '--upstream-name', 'app.test'],
  ]);
  const client = connect({
    host: '127.0.0.1',
    port: headgate.port,
    servername: 'a.test',
    ca: authority(),
  });
  client.write('through both');
  const [heard] = await within(5_000, 'the echo', once(client, 'data'));
  t.equal(String(heard), 'through both');
  client.end();
  const [line] = await headgate.flowsEnded(1);
  t.match(line, {
    close: 'done',
    tls: { version: '1.3', server_name: 'a.test' },
    upstream_tls: { version: '1.2', server_name: 'app.test', peer_verified: true },
  });
});

t.test('tls upstream: a certificate for development', timeout, async (t) => {
  const origin = await echoOrigin(t);
  const headgate = await start(t, [origin.address, '--tls-self-signed', 'dev.test']);
  const visit = async (options: object) => {
    const client = connect({ host: '127.0.0.1', port: headgate.port, ...options });
    t.teardown(() => client.destroy());
    client.write('hello');
    const [heard] = await within(5_000, 'the echo', once(client, 'data'));
    t.equal(String(heard), 'hello');
    return client.getPeerX509Certificate()!.toString();
  };
  const servername = 'dev.test';
  await t.rejects(visit({ servername }), /self.signed/);
  const ca = await visit({ servername, rejectUnauthorized: false });
  t.equal(await visit({ servername, ca }), ca, 'good for who knows it');
  await t.rejects(visit({ servername: 'other.test', ca }), /other\.test/);
});

testWith(
  missingProgram(['openssl', 'curl']),
  'tls upstream: the sample encrypts again, or says why it cannot',
  timeout,
  async (t) => {
    authority();
    const { chain, key } = certificate(['app.example.com']);
    const app = createHttpsServer({ cert: chain, key }, (_, response) => response.end('ok'));
    app.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    t.teardown(() => app.close());
    const { port } = app.address() as AddressInfo;
    for (const [name, status] of [
      ['app.example.com', 200],
      ['other.example.com', 502],
    ] as const) {
      const headgate = await startHeadgate(['run', '-c', 'config/re-encrypt.yaml'], {
        prefix: [
          ...['env', 'LISTEN=127.0.0.1:0', `APP=127.0.0.1:${port}`, `APP_NAME=${name}`],
          `SSL_CERT_FILE=${kit.path('authority.pem')}`,
        ],
      });
      t.teardown(() => headgate.kill());
      const { stdout } = await runProgram(
        ['curl', '-sSk', '-o', '/dev/null', '-w', '%{http_code}', `https://${headgate.address}/`],
        10_000,
      );
      t.equal(Number(stdout.toString()), status, name);
      const isWarned = () => headgate.logs.some(({ failure }) => failure !== undefined);
      if (status === 502) await until(3_000, 'a warning', isWarned);
      await headgate.stop();
    }
  },
);
