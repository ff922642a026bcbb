import { execFileSync } from 'node:child_process';
import { randomBytes, X509Certificate } from 'node:crypto';
import { type ConnectionOptions, connect, createSecureContext, type TLSSocket } from 'node:tls';
import t from 'tap';
import {
  loadOpenSsl,
  readRevocationDates,
  ServerContexts,
  type ServerTlsSettings,
  TlsVersion,
} from '#src/tls/index.js';
import { authority, certificate, dial, kit } from '#test/support/tls/tls-kit.js';
import { plainSettings, TlsServer } from '#test/support/tls/tls-server.js';

const timeout = 20_000;
const subjectOf = (socket: TLSSocket): string => socket.getPeerCertificate().subject.CN as string;

t.test('server contexts: the certificate is chosen by name before the handshake', async (t) => {
  const certificates = [
    certificate(['default.test']),
    certificate(['a.test', 'b.test']),
    certificate(['*.a.test']),
    certificate(['exact.a.test']),
  ];
  const server = await TlsServer.start(t, { ...plainSettings, certificates });
  for (const [servername, expected] of [
    ['a.test', 'a.test'],
    ['B.TEST', 'a.test'],
    ['x.a.test', '*.a.test'],
    ['exact.a.test', 'exact.a.test'],
    ['x.y.a.test', 'default.test'],
    ['elsewhere.test', 'default.test'],
    ['', 'default.test'],
  ] as const) {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = { servername, maxVersion, checkServerIdentity: () => undefined };
      const socket = await dial(server.port, options);
      t.equal(subjectOf(socket), expected, `${servername} by ${maxVersion}`);
      const { session } = await server.next('done');
      socket.destroy();
      t.equal(session.serverName, servername.toLowerCase() || undefined);
    }
  }
});

t.test('server contexts: RSA and ECDSA serve the same name', { timeout }, async (t) => {
  const certificates = [certificate(['a.test'], 'rsa:2048'), certificate(['a.test'])];
  const server = await TlsServer.start(t, { ...plainSettings, certificates });
  for (const [ciphers, sigalgs, kind] of [
    ['ECDHE-ECDSA-AES128-GCM-SHA256', undefined, 'ECDSA'],
    ['ECDHE-RSA-AES128-GCM-SHA256', undefined, 'RSA'],
    [undefined, 'rsa_pss_rsae_sha256', 'RSA'],
    [undefined, 'ecdsa_secp256r1_sha256', 'ECDSA'],
  ] as const) {
    const maxVersion = ciphers === undefined ? 'TLSv1.3' : 'TLSv1.2';
    const socket = await dial(server.port, {
      maxVersion,
      ...(ciphers && { ciphers }),
      ...(sigalgs && { sigalgs }),
    });
    t.equal(
      socket.getPeerX509Certificate()!.publicKey.asymmetricKeyType,
      kind === 'RSA' ? 'rsa' : 'ec',
    );
    socket.destroy();
  }
});

t.test('server contexts: a name is served by each kind of key once', { timeout }, async (t) => {
  const certificates = [
    certificate(['a.test']),
    // Of the same kind: the first one serves both their names.
    certificate(['a.test', 'b.test'], 'ec:P-384'),
    certificate(['a.test', 'c.test'], 'rsa:2048'),
  ];
  const server = await TlsServer.start(t, { ...plainSettings, certificates });
  const rsa = 'rsa_pss_rsae_sha256';
  for (const [servername, sigalgs, expected] of [
    ['a.test', undefined, 0],
    ['a.test', rsa, 2],
    ['b.test', undefined, 1],
    ['c.test', rsa, 2],
    // Nobody's name: as the first certificate's.
    ['d.test', undefined, 0],
    ['d.test', rsa, 2],
  ] as const) {
    const options = { servername, checkServerIdentity: () => undefined };
    const socket = await dial(server.port, { ...options, ...(sigalgs && { sigalgs }) });
    const shown = socket.getPeerX509Certificate()!.fingerprint256;
    t.equal(shown, new X509Certificate(certificates[expected]!.chain).fingerprint256, servername);
    socket.destroy();
  }
});

t.test('server contexts: of two of the same kind the chain is the first’s', async (t) => {
  kit.authority('middle', 'authority');
  const first = certificate(['a.test']);
  kit.issue('again', { issuer: 'middle', names: ['DNS:a.test'] });
  const chain = kit.text('again.pem') + kit.text('middle.pem');
  const again = { names: ['a.test'], chain, key: kit.text('again.key') };
  for (const certificates of [
    [first, again],
    [again, first],
  ]) {
    const server = await TlsServer.start(t, { ...plainSettings, certificates });
    // The client has the authority alone: it would not trust `again` without its issuer.
    const shown = await dial(server.port);
    const leaf = new X509Certificate(certificates[0]!.chain);
    t.equal(shown.getPeerX509Certificate()!.fingerprint256, leaf.fingerprint256);
    shown.destroy();
  }
});

t.test('server contexts: one for * serves who asks for nothing that is there', async (t) => {
  const any = { ...certificate(['b.test']), names: ['*'] };
  const settings = { ...plainSettings, certificates: [certificate(['a.test']), any] };
  const server = await TlsServer.start(t, settings);
  for (const [servername, expected] of [
    ['a.test', 'a.test'],
    ['elsewhere.test', 'b.test'],
    ['', 'b.test'],
  ] as const) {
    const socket = await dial(server.port, { servername, checkServerIdentity: () => undefined });
    t.equal(subjectOf(socket), expected, servername);
    socket.destroy();
  }
});

t.test('server contexts: the server’s preference decides about ALPN', { timeout }, async (t) => {
  const certificates = [certificate(['a.test']), certificate(['b.test'])];
  const settings = { ...plainSettings, certificates, alpn: ['http/1.1', 'h2'] };
  const server = await TlsServer.start(t, settings);
  for (const servername of ['a.test', 'b.test']) {
    for (const [offered, agreed] of [
      [['h2', 'http/1.1'], 'http/1.1'],
      [['x', 'h2'], 'h2'],
      [undefined, false],
    ] as const) {
      const socket = await dial(server.port, {
        servername,
        ...(offered && { ALPNProtocols: [...offered] }),
      });
      t.equal(socket.alpnProtocol, agreed);
      const { session } = await server.next('done');
      socket.destroy();
      t.equal(session.alpn, agreed === false ? undefined : agreed);
    }
  }
  await t.rejects(dial(server.port, { ALPNProtocols: ['smtp'] }), /no application protocol/i);
  t.equal((await server.next('failed')).failure, 'no_application_protocol');
});

t.test(
  'server contexts: an OCSP response is stapled where there is one',
  { timeout },
  async (t) => {
    const one = certificate(['a.test']);
    const response = randomBytes(300);
    const certificates = [{ ...one, ocsp: response }, certificate(['b.test'])];
    const server = await TlsServer.start(t, { ...plainSettings, certificates });
    for (const [servername, expected] of [
      ['a.test', response],
      ['b.test', undefined],
    ] as const) {
      const socket = await dial(server.port, { servername });
      t.ok(socket.authorized, 'one that does not ask gets none');
      socket.destroy();
      const options = { host: '127.0.0.1', port: server.port, servername, ca: authority() };
      const asking = connect({ ...options, requestOCSP: true } as ConnectionOptions);
      const seen = await new Promise<Buffer | null>((resolve, reject) => {
        asking.once('OCSPResponse', resolve);
        asking.once('error', reject);
      });
      asking.destroy();
      if (expected === undefined) t.equal(seen?.length ?? 0, 0, servername);
      else t.ok(seen?.equals(expected), servername);
    }
  },
);

t.test('server contexts: what others left in OpenSSL’s queue is no error of a text', async (t) => {
  authority();
  kit.revocationList('left.crl', 'authority', 3600);
  // Node does not take back what OpenSSL says of it.
  t.throws(() => createSecureContext({ ecdhCurve: 'nothing' }));
  t.match(readRevocationDates(loadOpenSsl(), kit.text('left.crl')), [{ issuer: /authority/ }]);
});

t.test('server contexts: what is wrong with a certificate is said, and of which', async (t) => {
  const good = certificate(['a.test']);
  const other = certificate(['b.test']);
  const build = (settings: Partial<ServerTlsSettings>): string => {
    try {
      new ServerContexts(
        { ...plainSettings, certificates: [good], ...settings },
        { kernel: false },
      );
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.equal(build({}), '');
  t.match(build({ certificates: [] }), /no certificate/);
  t.match(
    build({ certificates: [good, { ...other, key: good.key }] }),
    /the certificate for b\.test: key values mismatch/,
  );
  t.match(
    build({ certificates: [{ ...good, names: [], chain: 'nothing' }] }),
    /certificate 1: there is no certificate in it/,
  );
  t.match(
    build({ certificates: [{ ...good, key: '' }] }),
    /the key of the certificate for a\.test/,
  );
  kit.write('plain.key', good.key);
  const args = ['ec', '-in', kit.path('plain.key'), '-aes128', '-passout', 'pass:secret'];
  const encrypted = execFileSync('openssl', args, { stdio: 'pipe' }).toString();
  t.match(build({ certificates: [{ ...good, key: encrypted }] }), /the key of the certificate/);
  t.match(build({ ciphers: 'NO-SUCH' }), /ciphers NO-SUCH: no cipher match/);
  t.match(build({ ciphersuites: 'TLS_NONE' }), /ciphersuites TLS_NONE: no cipher match/);
  t.match(build({ curves: 'P-0' }), /curves P-0/);
  t.match(build({ alpn: ['x'.repeat(256)] }), /1 to 255 bytes/);
  t.match(build({ ticketKeys: [randomBytes(48)] }), /80 bytes, not 48/);
  const clientAuth = { mode: 'require', ca: 'nothing', verifyDepth: 1 } as const;
  t.match(build({ clientAuth }), /the trusted certificates: there is no certificate in it/);
});

t.test('server contexts: who may sign for clients is read once for all names', async (t) => {
  let added = 0;
  const openssl = {
    ...loadOpenSsl(),
    X509_STORE_add_cert: (store: number, x509: number) => {
      added++;
      return loadOpenSsl().X509_STORE_add_cert(store, x509);
    },
  };
  const ca = authority() + certificate(['other.test']).chain;
  const settings: ServerTlsSettings = {
    ...plainSettings,
    certificates: ['a.test', 'b.test', 'c.test'].map((name) => certificate([name])),
    clientAuth: { mode: 'require', ca, verifyDepth: 3 },
  };
  const contexts = new ServerContexts(settings, { kernel: false }, openssl);
  t.not(contexts.find('b.test'), contexts.find('c.test'), 'each name has a context');
  t.equal(added, 2, 'each certificate is in one store');
  contexts.release();
});

t.test('server contexts: a reload changes what new connections get', { timeout }, async (t) => {
  const before = { ...plainSettings, certificates: [certificate(['a.test'])] };
  const after = { ...plainSettings, certificates: [certificate(['a.test'], 'rsa:2048')] };
  const server = await TlsServer.start(t, before);
  const old = await dial(server.port);
  await server.reload(after);
  const young = await dial(server.port);
  t.not(young.getPeerCertificate().fingerprint256, old.getPeerCertificate().fingerprint256);
  for (const socket of [old, young]) {
    socket.write('still here');
    const [chunk] = await new Promise<[Buffer]>((resolve) =>
      socket.once('data', (chunk) => resolve([chunk as Buffer])),
    );
    t.equal(chunk.toString(), 'still here');
    socket.destroy();
  }
});

t.test('server contexts: versions outside the configured range fail', { timeout }, async (t) => {
  const certificates = [certificate(['a.test'])];
  const only13 = { ...plainSettings, certificates, minVersion: TlsVersion.Tls13 };
  const server = await TlsServer.start(t, only13);
  await t.rejects(dial(server.port, { maxVersion: 'TLSv1.2' }), /protocol version/i);
  t.equal((await server.next('failed')).failure, 'unsupported_version');
});
