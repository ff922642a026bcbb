import { randomBytes, X509Certificate } from 'node:crypto';
import { renameSync } from 'node:fs';
import { connect, createServer } from 'node:tls';
import t, { type Test } from 'tap';
import { type Config, formatProblem, loadConfig } from '#src/config/index.js';
import { Credentials } from '#src/control/tls/index.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);
const timeout = 20_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function configOf(listeners: Record<string, string>): Config {
  const lines = Object.entries(listeners).map(
    ([name, tls]) => `  ${name}: { bind: "unix:@${name}", tcp: { upstream: app }, tls: ${tls} }`,
  );
  const text = `upstreams: { app: { endpoints: ["127.0.0.1:1"] } }\nlisteners:\n${lines.join('\n')}\n`;
  const loaded = loadConfig(text);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

interface Rig {
  readonly credentials: Credentials;
  readonly warnings: object[];
  /** What is no cause to worry. */
  readonly news: object[];
  changes: number;
}

function makeRig(t: Test): Rig {
  const warnings: object[] = [];
  const news: object[] = [];
  const logger = {
    info: (fields: object, message: string) => news.push({ message, ...fields }),
    warn: (fields: object, message: string) => warnings.push({ message, ...fields }),
  };
  const rig = {
    warnings,
    news,
    changes: 0,
    credentials: new Credentials({
      logger: logger as never,
      onChange: () => {
        rig.changes += 1;
      },
    }),
  };
  t.teardown(() => rig.credentials.stop());
  return rig;
}

function makeKit(t: Test): CertificateKit {
  const kit = new CertificateKit(t.testdir());
  process.chdir(kit.directory);
  return kit;
}

const settingsOf = ({ credentials }: Rig, listener = 'web') => credentials.settings.get(listener)!;

t.test('credentials: ticket keys rotate, and the last three are kept', async (t) => {
  const rig = makeRig(t);
  const { credentials } = rig;
  const config = configOf({
    web: '{ self_signed: [localhost], session_tickets: { rotate: 1h } }',
    other: '{ self_signed: [localhost] }',
    none: '{ self_signed: [localhost], session_tickets: false }',
  });
  credentials.adopt(credentials.prepare(config, 0), 0);
  const [first] = settingsOf(rig).ticketKeys;
  t.equal(first!.length, 80);
  t.equal(first!.buffer.byteLength, 80, 'nothing else travels along');
  t.not(Buffer.compare(first!, settingsOf(rig, 'other').ticketKeys[0]!), 0, 'each has its own');
  t.strictSame(settingsOf(rig, 'none').ticketKeys, []);
  credentials.refresh(HOUR_MS - 1);
  t.equal(rig.changes, 0);
  credentials.refresh(HOUR_MS);
  t.equal(rig.changes, 1);
  t.equal(settingsOf(rig).ticketKeys.length, 2);
  t.equal(settingsOf(rig).ticketKeys[1], first, 'the new one is in front');
  for (let hour = 2; hour < 12; hour++) credentials.refresh(hour * HOUR_MS);
  t.equal(settingsOf(rig).ticketKeys.length, 3);
  t.notOk(settingsOf(rig).ticketKeys.includes(first!), 'forgotten');
  const before = settingsOf(rig).ticketKeys;
  credentials.adopt(credentials.prepare(config, 11 * HOUR_MS), 11 * HOUR_MS);
  t.strictSame(settingsOf(rig).ticketKeys, before, 'a reload changes no keys');
});

t.test('credentials: ticket keys of a file are new when the file is', async (t) => {
  const kit = makeKit(t);
  const [old, current] = [randomBytes(80), randomBytes(80)];
  kit.write('keys', old);
  const rig = makeRig(t);
  const { credentials } = rig;
  const config = configOf({
    web: '{ self_signed: [localhost], session_tickets: { key_file: keys } }',
  });
  credentials.adopt(credentials.prepare(config));
  t.strictSame(settingsOf(rig).ticketKeys.map(Buffer.from), [old]);
  credentials.refresh();
  t.equal(rig.changes, 0);
  kit.write('keys.new', Buffer.concat([current, old]));
  renameSync('keys.new', 'keys');
  credentials.refresh();
  t.equal(rig.changes, 1);
  t.strictSame(settingsOf(rig).ticketKeys.map(Buffer.from), [current, old]);
  kit.write('keys', 'short');
  for (let time = 0; time < 3; time++) credentials.refresh();
  t.equal(rig.changes, 1, 'a file that is wrong changes nothing');
  t.strictSame(settingsOf(rig).ticketKeys.map(Buffer.from), [current, old]);
  t.match(rig.warnings, [{ file: 'keys', reason: /it has 5 bytes/ }], 'and is told once');
  t.strictSame(rig.news, [
    { message: 'tls: a file has changed and was read', listener: 'web', file: 'keys' },
  ]);
  kit.write('keys', Buffer.concat([current, old]));
  credentials.refresh();
  kit.write('keys', 'short');
  credentials.refresh();
  t.equal(rig.warnings.length, 2, 'what was well in between is told again');
  t.equal(rig.news.length, 1, 'nothing has changed');
  t.throws(() => credentials.prepare(config), /^keys: it has 5 bytes/);
});

testWith(missing, 'credentials: an OCSP response follows its file', { timeout }, async (t) => {
  const kit = makeKit(t);
  kit.authority('root');
  kit.issue('site', { issuer: 'root', names: ['DNS:site.test'] });
  kit.ocsp('site.ocsp', 'site', 'root');
  const rig = makeRig(t);
  const { credentials } = rig;
  const config = configOf({
    web: '{ certificates: [{ cert: site.pem, key: site.key, ocsp: site.ocsp }] }',
  });
  credentials.adopt(credentials.prepare(config));
  const stapled = () => settingsOf(rig).certificates[0]!.ocsp;
  t.strictSame(Buffer.from(stapled()!), Buffer.from(kit.text('site.ocsp'), 'latin1'));
  const first = settingsOf(rig).fingerprint;
  await new Promise((resolve) => setTimeout(resolve, 1100));
  kit.ocsp('site.ocsp', 'site', 'root');
  credentials.refresh();
  t.equal(rig.changes, 1, 'another one');
  t.not(settingsOf(rig).fingerprint, first);
  t.strictSame(Buffer.from(stapled()!), Buffer.from(kit.text('site.ocsp'), 'latin1'));
  credentials.refresh(Date.now() + 8 * DAY_MS);
  t.equal(rig.changes, 2);
  t.equal(stapled(), undefined, 'one that has expired is not sent');
});

testWith(
  missing,
  'credentials: an OCSP response that does not hold is told',
  { timeout },
  async (t) => {
    const kit = makeKit(t);
    kit.authority('root');
    kit.issue('site', { issuer: 'root', names: ['DNS:site.test'] });
    kit.ocsp('site.ocsp', 'site', 'root');
    const rig = makeRig(t);
    const { credentials } = rig;
    const config = configOf({
      web: '{ certificates: [{ cert: site.pem, key: site.key, ocsp: site.ocsp }] }',
    });
    const now = Date.now();
    const isStapled = () => settingsOf(rig).certificates[0]!.ocsp !== undefined;
    credentials.adopt(credentials.prepare(config, now), now);
    t.ok(isStapled());
    const ocsp = credentials.validities.find(({ kind }) => kind === 'ocsp_response');
    t.ok(Math.abs(ocsp!.notAfterMs! - now - 7 * DAY_MS) < 60_000);
    const told = (day: number) => {
      rig.warnings.length = 0;
      credentials.refresh(now + day * DAY_MS);
      return rig.warnings;
    };
    t.strictSame(told(5.2), []);
    const about = { listener: 'web', name: 'site.test', file: 'site.ocsp' };
    const not_after = new Date(ocsp!.notAfterMs!).toISOString();
    t.match(told(5.3), [{ message: /OCSP response expires soon/, ...about, not_after }]);
    const expired = { message: /OCSP response has expired.*fetch/, ...about, not_after };
    t.match(told(7.1), [expired]);
    t.notOk(isStapled());
    t.strictSame(told(7.9), [], 'once a day');
    t.match(told(8.2), [expired]);
    credentials.adopt(credentials.prepare(config, now - DAY_MS), now - DAY_MS);
    t.match(rig.warnings.at(-1), { message: /OCSP response is not valid yet/, ...about });
    t.notOk(isStapled(), 'of a clock that is a day behind');
    t.strictSame(told(-0.001), [], 'a minute is nothing');
    t.ok(isStapled());
  },
);

testWith(missing, 'credentials: who ends soon is told, once a day', { timeout }, async (t) => {
  const kit = makeKit(t);
  kit.issue('site', { names: ['DNS:site.test'], days: 90 });
  const rig = makeRig(t);
  const { credentials } = rig;
  const now = Date.now();
  const tls = '{ certificates: [{ cert: site.pem, key: site.key }] }';
  credentials.adopt(credentials.prepare(configOf({ web: tls }), now), now);
  t.strictSame(rig.warnings, []);
  const [expiry] = credentials.validities;
  t.match(expiry, { owner: { listener: 'web' }, name: 'site.test', file: 'site.pem' });
  t.ok(Math.abs(expiry!.notAfterMs! - now - 90 * DAY_MS) < 60_000);
  for (const day of [75, 77, 77.5, 78.1]) credentials.refresh(now + day * DAY_MS);
  const soon = { message: 'tls: a certificate expires soon', listener: 'web', name: 'site.test' };
  t.match(rig.warnings, [soon, soon]);
  credentials.refresh(now + 91 * DAY_MS);
  t.match(rig.warnings[2], { message: 'tls: a certificate has expired', file: 'site.pem' });
  t.equal(rig.warnings.length, 3);
});

testWith(missing, 'credentials: a reload reads certificates anew', { timeout }, async (t) => {
  const kit = makeKit(t);
  kit.issue('site', { names: ['DNS:site.test'] });
  const rig = makeRig(t);
  const { credentials } = rig;
  const listeners = { web: '{ certificates: [{ cert: site.pem, key: site.key }] }' };
  credentials.adopt(credentials.prepare(configOf(listeners)));
  const before = settingsOf(rig);
  credentials.adopt(credentials.prepare(configOf(listeners)));
  t.equal(settingsOf(rig).fingerprint, before.fingerprint, 'the same files, the same settings');
  kit.issue('site', { names: ['DNS:site.test'] });
  credentials.adopt(credentials.prepare(configOf(listeners)));
  t.not(settingsOf(rig).fingerprint, before.fingerprint);
  t.equal(settingsOf(rig).certificates[0]!.chain, kit.text('site.pem'));
  t.strictSame(settingsOf(rig).ticketKeys, before.ticketKeys, 'who came before may resume');
});

t.test('credentials: a development certificate is one that clients can check', async (t) => {
  const rig = makeRig(t);
  const { credentials } = rig;
  // Ticket keys would change meanwhile, too.
  const tls = '{ self_signed: [localhost, "*.app.test", 192.0.2.7], session_tickets: false }';
  const config = configOf({ web: tls });
  const now = Date.now();
  credentials.adopt(credentials.prepare(config, now), now);
  const { certificates } = settingsOf(rig);
  const [{ chain, key, names }] = certificates as [(typeof certificates)[0]];
  t.strictSame(names, ['localhost', '*.app.test'], 'addresses are not asked for by name');
  const certificate = new X509Certificate(chain);
  t.equal(certificate.ca, false);
  t.ok(certificate.verify(certificate.publicKey));
  t.equal(certificate.checkHost('x.app.test'), '*.app.test');
  for (const address of ['192.0.2.7', '127.0.0.1', '::1'])
    t.ok(certificate.checkIP(address), address);
  t.strictSame(await handshake(chain, key), { authorized: true, name: 'localhost' });
  credentials.adopt(credentials.prepare(config, now), now);
  t.equal(settingsOf(rig).certificates[0]!.chain, chain, 'a reload keeps it');
  credentials.refresh(now + 75 * DAY_MS);
  t.equal(rig.changes, 0);
  credentials.refresh(now + 77 * DAY_MS);
  t.equal(rig.changes, 1, 'in time there is another one');
  t.not(settingsOf(rig).certificates[0]!.chain, chain);
  t.strictSame(rig.warnings, []);
});

/** What a client that trusts the certificate makes of it. */
function handshake(cert: string, key: string): Promise<{ authorized: boolean; name: string }> {
  return new Promise((resolve, reject) => {
    const server = createServer({ cert, key }, (socket) => socket.end());
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const client = connect({ port, host: '127.0.0.1', ca: cert, servername: 'localhost' });
      client.on('secureConnect', () => {
        resolve({ authorized: client.authorized, name: 'localhost' });
        client.destroy();
        server.close();
      });
      client.on('error', (error) => {
        server.close();
        reject(error);
      });
    });
  });
}
