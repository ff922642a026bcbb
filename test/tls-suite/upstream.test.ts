// TLS to endpoints: who is trusted, who is not and hears nothing, certificates of our own, sessions that go on.
import { once } from 'node:events';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Test } from 'tap';
import { echoOrigin, says } from '#test/support/control/live-proxy.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { closed } from '#test/support/peers/closed.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import {
  type Suite,
  type SuiteProxy,
  served,
  suiteTest,
  type Version,
  versions,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);

interface Certified {
  readonly names?: readonly string[];
  readonly days?: number;
  /** Asks for a certificate of the authority's. */
  readonly wantsClient?: boolean;
  readonly version?: Version;
}

/** What is known of a connection when its handshake is over. */
interface Visitor {
  /** Whom it thinks it speaks to. */
  readonly servername: string;
  readonly subject: string | undefined;
  readonly isResumed: boolean;
}

/** An echo over TLS, which remembers its connections. */
class SecureEcho {
  readonly visitors: Visitor[] = [];
  /** Bytes that it was told. */
  heardBytes = 0;

  private constructor(readonly address: string) {}

  static async listen(t: Test, certified: Certified = {}): Promise<SecureEcho> {
    const { names = ['app.test'], days, wantsClient, version } = certified;
    const { chain: cert, key } = certificate(names, 'ec:P-256', days);
    const options: TlsOptions = {
      ...{ cert, key, allowHalfOpen: true },
      ...(version && { minVersion: version, maxVersion: version }),
      ...(wantsClient && { requestCert: true, ca: authority() }),
    };
    const sockets: TLSSocket[] = [];
    const server = createServer(options).listen(0, '127.0.0.1');
    await within(5_000, 'the endpoint listens', once(server, 'listening'));
    const { port } = server.address() as AddressInfo;
    const echo = new SecureEcho(`127.0.0.1:${port}`);
    server.on('tlsClientError', () => {});
    server.on('secureConnection', (socket) => {
      sockets.push(socket.on('error', () => {}));
      echo.visitors.push({
        servername: (socket as unknown as { servername: string }).servername,
        subject: socket.getPeerCertificate().subject?.CN as string | undefined,
        isResumed: socket.isSessionReused(),
      });
      socket.on('data', (chunk) => {
        echo.heardBytes += chunk.length;
      });
      socket.pipe(socket);
    });
    t.teardown(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    return echo;
  }
}

/** An endpoint, and what the upstream it is in says of TLS. */
interface Target {
  readonly address: string;
  readonly tls: object;
}

/** A proxy with a listener for each target: `in0`, `in1`, and so on. */
function before({ start }: Suite, ...targets: readonly Target[]): Promise<SuiteProxy> {
  const each = <Value>(name: string, value: (target: Target, index: number) => Value) =>
    Object.fromEntries(targets.map((target, index) => [name + index, value(target, index)]));
  return start({
    listeners: each('in', (_, index) => ({ tcp: { upstream: `to${index}` } })),
    upstreams: each('to', ({ address, tls }) => ({ endpoints: [address], tls })),
  });
}

/** Says a word at a listener. @returns whether it came back, and the access line, the only one so far */
async function visit(proxy: SuiteProxy, index = 0, word = 'there and back') {
  const lines = () => proxy.lines().filter(({ listener }) => listener === `in${index}`);
  const before = lines().length;
  const socket = connectTcp(proxy.portOf(`in${index}`), '127.0.0.1');
  socket.on('error', () => {});
  const isHeard = await within(5_000, 'an echo, or an end', says(socket, word));
  socket.end();
  await within(5_000, 'the end', closed(socket));
  return { isHeard, line: await until(5_000, 'an access line', () => lines()[before]) };
}

const trusted = (): object => ({ ca: kit.path('authority.pem'), server_name: 'app.test' });

for (const version of versions) {
  suiteTest(missing, `tls upstream: who is trusted, ${version}`, timeout, async (t, suite) => {
    authority();
    const named = await SecureEcho.listen(t, { version });
    const bare = await SecureEcho.listen(t, { version, names: ['127.0.0.1'] });
    const local = await SecureEcho.listen(t, { version, names: ['localhost'] });
    const byName = local.address.replace('127.0.0.1', 'localhost');
    const ca = kit.path('authority.pem');
    const cases = [
      ['by the name that is asked for', named.address, trusted(), 'app.test'],
      ['as the address it is', bare.address, { ca }, undefined],
      ['by the name that led to it', byName, { ca }, 'localhost'],
      ['unseen', named.address, { ca, server_name: 'x.test', verify: false }, 'x.test'],
    ] as const;
    const proxy = await before(suite, ...cases.map(([, address, tls]) => ({ address, tls })));
    for (const [index, [what, , , name]] of cases.entries()) {
      const { isHeard, line } = await visit(proxy, index);
      t.ok(isHeard, what);
      t.match(line, {
        close: 'done',
        upstream_tls: { version: version.slice(4), peer_verified: what !== 'unseen' },
      });
      t.equal((line.upstream_tls as { server_name?: string }).server_name, name, what);
    }
    t.equal(named.visitors[0]!.servername, 'app.test');
    t.equal(local.visitors[0]!.servername, 'localhost');
  });

  suiteTest(missing, `tls upstream: who is not, ${version}`, timeout, async (t, suite) => {
    authority();
    kit.authority('other');
    const good = await SecureEcho.listen(t, { version });
    const late = await SecureEcho.listen(t, { version, days: -1 });
    const picky = await SecureEcho.listen(t, { version, wantsClient: true });
    const plain = await echoOrigin(t);
    const verify = 'verify_failed:';
    // In TLS 1.3 a server looks at the client's certificate when the client has gone on.
    const isLate = version === 'TLSv1.3';
    const wanted = isLate ? 'certificate_required' : 'handshake_failure';
    const cases = [
      [good.address, { ca: kit.path('other.pem') }, `${verify}unknown_issuer`],
      [good.address, { server_name: 'b.test' }, `${verify}name_mismatch`],
      [late.address, {}, `${verify}expired`],
      [picky.address, {}, `alert_received:${wanted}`],
      [plain.address, {}, /^(eof|protocol_error|not_tls)$/],
    ] as const;
    const proxy = await before(
      suite,
      ...cases.map(([address, more]) => ({ address, tls: { ...trusted(), ...more } })),
    );
    for (const [index, [address, , failure]] of cases.entries()) {
      const { isHeard, line } = await visit(proxy, index, 'a secret');
      t.notOk(isHeard, `${failure}`);
      const isGone = isLate && address === picky.address;
      const close = isGone ? 'upstream_reset' : 'upstream_tls_failed';
      t.match(line, { close, bytes_down: 0, upstream_tls: { failure } }, `${failure}`);
      if (!isGone) t.equal(line.bytes_up, 0);
    }
    t.equal(good.heardBytes + late.heardBytes + picky.heardBytes, 0, 'nobody heard of it');
  });

  suiteTest(
    missing,
    `tls upstream: one that wants a certificate, ${version}`,
    timeout,
    async (t, suite) => {
      const cert = served(['gate.test']).cert;
      const picky = await SecureEcho.listen(t, { version, wantsClient: true });
      const tls = { ...trusted(), cert, key: cert };
      const proxy = await before(suite, { address: picky.address, tls });
      t.ok((await visit(proxy)).isHeard);
      t.equal(picky.visitors[0]!.subject, 'gate.test');
    },
  );

  suiteTest(missing, `tls upstream: sessions go on, ${version}`, timeout, async (t, suite) => {
    authority();
    const echo = await SecureEcho.listen(t, { version });
    const proxy = await before(suite, { address: echo.address, tls: trusted() });
    let told = 0;
    for (let round = 0; round < 4; round++) {
      const { isHeard, line } = await visit(proxy);
      t.ok(isHeard);
      if ((line.upstream_tls as { resumed: boolean }).resumed) told += 1;
    }
    const resumed = echo.visitors.filter(({ isResumed }) => isResumed).length;
    // OpenSSL uses a ticket of TLS 1.3 once (RFC 8446 §C.4), and Node's server gives no new ones.
    t.ok(resumed >= (version === 'TLSv1.2' ? 3 : 1), `${resumed} of 4`);
    t.equal(told, resumed);
    // Where the kernel receives, OpenSSL is fed with the tickets that come after the handshake.
    const isFed = place.kernel === 'require' && version === 'TLSv1.3';
    t.equal((proxy.stats().tls.upstream.tickets.kept ?? 0) >= 1, isFed);
  });
}
