// What is chosen by what the client says: the certificate by its name and its signatures, the protocol.
import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { authority, dial, everything, kit } from '#test/support/tls/tls-kit.js';
import { type Suite, served, suiteTest, versions } from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 20_000 };
const missing = missingProgram(['openssl']);

async function begin(t: Test, { start }: Suite, tls: object) {
  const origin = await echoOrigin(t);
  const proxy = await start({
    listeners: { in: { tls, tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
  let visits = 0;
  /** What a client of these options gets. @throws its error */
  const visit = async (options: ConnectionOptions) => {
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port: proxy.port,
      ca: authority(),
      checkServerIdentity: () => undefined,
      ...options,
    });
    try {
      socket.write('to the end');
      await within(5_000, 'the echo', once(socket, 'data'));
      const { subject } = socket.getPeerCertificate();
      const key = socket.getPeerX509Certificate()!.publicKey.asymmetricKeyType;
      return { name: subject.CN as string, key, alpn: socket.alpnProtocol };
    } finally {
      socket.destroy();
      // One line after the other.
      await proxy.linesOf(++visits);
    }
  };
  return { proxy, visit };
}

suiteTest(
  missing,
  'tls choice: the certificate by the name asked for',
  timeout,
  async (t, suite) => {
    const { proxy, visit } = await begin(t, suite, {
      certificates: [
        served(['default.test', 'also.test']),
        served(['*.b.test']),
        served(['*.c.b.test']),
        served(['x.b.test']),
      ],
    });
    for (const [asked, expected] of [
      ['default.test', 'default.test'],
      ['also.test', 'default.test'],
      ['x.b.test', 'x.b.test'],
      ['X.B.Test', 'x.b.test'],
      ['y.b.test', '*.b.test'],
      ['y.c.b.test', '*.c.b.test'],
      ['c.b.test', '*.b.test'],
      ['b.test', 'default.test'],
      ['nobody.test', 'default.test'],
      [undefined, 'default.test'],
    ] as const) {
      const { name } = await visit(asked === undefined ? {} : { servername: asked });
      t.equal(name, expected, `${asked}`);
    }
    const lines = proxy.lines();
    t.strictSame(
      lines.slice(-2).map(({ server_name }) => server_name),
      ['nobody.test', undefined],
    );
  },
);

suiteTest(
  missing,
  'tls choice: RSA or ECDSA by what the client can check',
  timeout,
  async (t, suite) => {
    const names = ['two.test'];
    const certificates = [served(names, 'rsa:2048'), served(names, 'ec:P-256')];
    const { visit } = await begin(t, suite, { certificates });
    const servername = names[0]!;
    const [ecdsa, rsa] = ['ecdsa_secp256r1_sha256', 'rsa_pss_rsae_sha256'];
    for (const version of versions) {
      const only = { servername, minVersion: version, maxVersion: version };
      for (const [sigalgs, key] of [
        [ecdsa, 'ec'],
        [rsa, 'rsa'],
      ] as const) {
        t.equal((await visit({ ...only, sigalgs })).key, key, `${version}, ${sigalgs}`);
      }
      t.ok((await visit({ ...only, sigalgs: `${rsa}:${ecdsa}` })).key, 'either');
      await t.rejects(
        visit({ ...only, sigalgs: 'ed25519' }),
        /handshake failure|EPROTO|ECONNRESET/i,
      );
    }
  },
);

suiteTest(
  missing,
  'tls choice: the protocol is the server’s preference',
  timeout,
  async (t, suite) => {
    const certificates = [served(['alpn.test'])];
    const { proxy, visit } = await begin(t, suite, {
      certificates,
      alpn: ['http/1.1', 'postgresql'],
    });
    const servername = 'alpn.test';
    for (const [offered, chosen] of [
      [['postgresql', 'http/1.1'], 'http/1.1'],
      [['h2', 'postgresql'], 'postgresql'],
      [['http/1.1'], 'http/1.1'],
      [[], false],
    ] as const) {
      const ALPNProtocols = [...offered];
      for (const version of versions) {
        const only = { servername, minVersion: version, maxVersion: version };
        t.equal((await visit({ ...only, ALPNProtocols })).alpn, chosen, `${offered}, ${version}`);
      }
    }
    await t.rejects(visit({ servername, ALPNProtocols: ['h2'] }), /no application protocol/);
    const lines = proxy.lines();
    t.match(lines.at(-1), { close: 'tls_failed', tls: { failure: 'no_application_protocol' } });
    t.strictSame(
      lines.slice(0, 8).map(({ tls }) => (tls as { alpn?: string }).alpn),
      ['http/1.1', 'postgresql', 'http/1.1', undefined].flatMap((alpn) => [alpn, alpn]),
    );
  },
);

suiteTest(missing, 'tls choice: the route by the name', timeout, async (t, { start }) => {
  const origin = await echoOrigin(t);
  const routes = [{ sni: 'a.test', upstream: 'one' }];
  const proxy = await start({
    listeners: { in: { tls: { certificates: [served()] }, tcp: { routes } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
  for (const version of versions) {
    const only = { minVersion: version, maxVersion: version };
    const [routed, lost] = [
      await dial(proxy.port, only),
      await dial(proxy.port, {
        ...only,
        servername: 'b.test',
        checkServerIdentity: () => undefined,
      }),
    ];
    const heard = [everything(routed), everything(lost)];
    for (const socket of [routed, lost]) socket.end('routed');
    t.equal(String(await heard[0]), 'routed');
    t.equal(String(await heard[1]), '', 'no route: ended in good order');
  }
  const closes = (await proxy.linesOf(4)).map(({ close }) => close);
  t.strictSame(closes.sort(), ['done', 'done', 'head_rejected', 'head_rejected']);
});

suiteTest(missing, 'tls choice: who asks gets the OCSP response', timeout, async (t, suite) => {
  authority();
  kit.issue('stapled', { issuer: 'authority', names: ['DNS:stapled.test'] });
  kit.ocsp('stapled.ocsp', 'stapled', 'authority');
  const [cert, key] = [kit.path('stapled.pem'), kit.path('stapled.key')];
  const certificates = [{ cert, key, ocsp: kit.path('stapled.ocsp') }, served(['bare.test'])];
  const { proxy } = await begin(t, suite, { certificates });
  for (const [servername, expected] of [
    ['stapled.test', Buffer.from(kit.text('stapled.ocsp'), 'latin1')],
    ['bare.test', null],
  ] as const) {
    for (const version of versions) {
      const only = { minVersion: version, maxVersion: version };
      const place = { host: '127.0.0.1', port: proxy.port, servername };
      // Node's types do not know `requestOCSP` here.
      const options = { ...place, ...only, ca: authority(), requestOCSP: true };
      const socket = connect(options);
      t.teardown(() => socket.destroy());
      const [response] = await within(5_000, 'a response', once(socket, 'OCSPResponse'));
      t.strictSame(response, expected, `${servername}, ${version}`);
      socket.destroy();
    }
  }
});
