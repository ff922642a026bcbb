import t from 'tap';
import { formatProblem, loadConfig } from '#src/config/index.js';
import { Credentials, clientSettings, readSystemAuthorities } from '#src/control/tls/index.js';
import { TlsVersion } from '#src/tls/index.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);

function load(text: string) {
  const loaded = loadConfig(text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

function listenerSettings(tls: string) {
  const credentials = new Credentials({ logger: { warn() {} } as never, onChange() {} });
  const config = load(
    `{ listeners: { a: { bind: "unix:@a", tcp: { upstream: b }, tls: ${tls} } }, upstreams: { b: { demo: true } } }`,
  );
  credentials.adopt(credentials.prepare(config));
  credentials.stop();
  return credentials.settings.get('a')!;
}

function upstreamConfig(tls: string) {
  const upstream = `b: { endpoints: ["127.0.0.1:1"], tls: ${tls}, health: { active: {} } }`;
  const listener = 'a: { bind: "unix:@a", tcp: { upstream: b } }';
  return load(`{ listeners: { ${listener} }, upstreams: { ${upstream} } }`).upstreams[0]!;
}

t.test('tls settings: presets are Mozilla’s', async (t) => {
  const intermediate = listenerSettings('{ self_signed: [a.test] }');
  t.match(intermediate, {
    minVersion: TlsVersion.Tls12,
    maxVersion: TlsVersion.Tls13,
    ciphers: /^ECDHE-ECDSA-AES128-GCM-SHA256:.*:ECDHE-RSA-CHACHA20-POLY1305$/,
    ciphersuites: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
    curves: /^(X25519MLKEM768:)?X25519:prime256v1:secp384r1$/,
    kernel: 'auto',
    alpn: [],
  });
  t.equal(intermediate.clientAuth, undefined);
  const modern = listenerSettings('{ self_signed: [a.test], preset: modern, kernel: off }');
  t.match(modern, { minVersion: TlsVersion.Tls13, kernel: 'off' });
  t.equal(modern.ciphers, undefined);
});

t.test('tls settings: what is said replaces parts of the preset', async (t) => {
  const said = listenerSettings(
    '{ self_signed: [a.test], preset: modern, min_version: 1.2, max_version: "1.2", ciphers: "HIGH:!aNULL", curves: X25519, alpn: [postgresql] }',
  );
  t.match(said, {
    minVersion: TlsVersion.Tls12,
    maxVersion: TlsVersion.Tls12,
    ciphers: 'HIGH:!aNULL',
    curves: 'X25519',
    alpn: ['postgresql'],
  });
  t.strictSame(structuredClone(said), said, 'plain data');
});

t.test('tls settings: an upstream is verified by whom the system trusts', async (t) => {
  const config = upstreamConfig('{ server_name: db.test }');
  const settings = clientSettings(config.tls!);
  t.match(settings, { minVersion: TlsVersion.Tls12, verify: true, serverName: 'db.test' });
  t.equal(settings.ca, readSystemAuthorities(process.env.SSL_CERT_FILE));
  t.equal(clientSettings(config.tls!), settings, 'made once');
  t.match(config.active?.tls, { verify: true, serverName: 'db.test' }, 'checks are made alike');
  t.equal(clientSettings(upstreamConfig('{ verify: false }').tls!).ca, '');
});

testWith(missing, 'tls settings: whom the system trusts', { timeout: 10_000 }, async (t) => {
  const kit = new CertificateKit(t.testdir());
  kit.authority('root');
  t.ok(readSystemAuthorities(undefined).split('BEGIN CERTIFICATE').length > 50);
  t.match(readSystemAuthorities(''), /BEGIN CERTIFICATE/, 'an empty variable is none');
  t.equal(readSystemAuthorities(kit.path('root.pem')), kit.text('root.pem'));
  t.throws(() => readSystemAuthorities(kit.path('nowhere.pem')), /^SSL_CERT_FILE is ".*nowhere/);
  t.throws(() => readSystemAuthorities(kit.path('root.key')), /has no certificate/);
});
