import { renameSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Config, formatProblem, loadConfig } from '#src/config/index.js';
import { Credentials, type Validity, validityChecks } from '#src/control/tls/index.js';
import { validityProblem } from '#src/control/tls/validity.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);
const timeout = 20_000;
const DAY_MS = 86_400_000;
const WEEK_SECONDS = 7 * 86_400;

function configOf(tls: string, upstreamTls = ''): Config {
  const loaded = loadConfig(`
listeners: { web: { bind: "unix:@a", tcp: { upstream: app }, tls: ${tls} } }
upstreams: { app: { endpoints: ["127.0.0.1:1"] ${upstreamTls} } }`);
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
  return loaded.config;
}

function makeKit(t: Test): CertificateKit {
  const kit = new CertificateKit(t.testdir());
  process.chdir(kit.directory);
  kit.authority('root');
  kit.issue('site', { issuer: 'root', names: ['DNS:site.test'], days: 90 });
  return kit;
}

function makeCredentials(t: Test) {
  const rig = { warnings: [] as { message: string; file?: string }[], changes: 0 };
  const logger = {
    info: () => {},
    warn: (fields: object, message: string) => rig.warnings.push({ message, ...fields }),
  };
  const onChange = () => {
    rig.changes += 1;
  };
  const credentials = new Credentials({ logger: logger as never, onChange });
  t.teardown(() => credentials.stop());
  return { rig, credentials };
}

t.test('validity: an end is near for 14 days, or the last quarter of what is short', async (t) => {
  const problemAt = (days: number, nowDays: number) =>
    validityProblem(
      {
        kind: 'certificate',
        owner: { listener: 'web' },
        name: 'a',
        file: 'f',
        notBeforeMs: 0,
        notAfterMs: days * DAY_MS,
      },
      nowDays * DAY_MS,
    );
  t.equal(problemAt(90, 75.9), undefined);
  t.match(problemAt(90, 76.1), /expires soon/);
  t.equal(problemAt(6, 4.4), undefined, 'one that is renewed every few days');
  t.match(problemAt(6, 4.6), /expires soon/);
  t.match(problemAt(6, 6), /has expired/);
  t.match(problemAt(6, -1), /not valid yet/);
});

testWith(
  missing,
  'validity: a revocation list that is not renewed is told',
  { timeout },
  async (t) => {
    const kit = makeKit(t);
    kit.revocationList('root.crl', 'root', WEEK_SECONDS);
    const { rig, credentials } = makeCredentials(t);
    const now = Date.now();
    const certificate = 'certificates: [{ cert: site.pem, key: site.key }]';
    const config = configOf(
      `{ ${certificate}, client_auth: { ca: root.pem, crl: root.crl }, session_tickets: false }`,
    );
    credentials.adopt(credentials.prepare(config, now), now);
    t.strictSame(rig.warnings, []);
    const list = credentials.validities.find(({ kind }) => kind === 'revocation_list')!;
    t.match(list, { owner: { listener: 'web' }, name: 'CN=root', file: 'root.crl' });
    t.ok(Math.abs(list.notAfterMs! - now - 7 * DAY_MS) < 60_000);
    t.ok(Math.abs(list.notBeforeMs - now) < 60_000);
    credentials.refresh(now + 6 * DAY_MS);
    const about = { listener: 'web', name: 'CN=root', file: 'root.crl' };
    t.match(rig.warnings, [{ message: /^tls: a revocation list is soon out of date/, ...about }]);
    rig.warnings.length = 0;
    credentials.refresh(now + 8 * DAY_MS);
    t.match(rig.warnings, [{ message: /is out of date, clients .* get in no more/, ...about }]);
    t.equal(rig.changes, 1, 'sessions from before are not resumed any more');
    t.match(credentials.settings.get('web')!.clientAuth, { isListPast: true });
    credentials.refresh(now + 8 * DAY_MS);
    t.equal(rig.changes, 1);

    const pem = () => credentials.settings.get('web')!.clientAuth!.crl!;
    const before = pem();
    kit.revocationList('new.crl', 'root', 2 * WEEK_SECONDS, ['site']);
    renameSync('new.crl', 'root.crl');
    rig.warnings.length = 0;
    credentials.refresh(now + 8 * DAY_MS);
    t.strictSame(rig.warnings, [], 'a new one is read without a reload');
    t.equal(rig.changes, 2);
    t.equal(credentials.settings.get('web')!.clientAuth!.isListPast, undefined);
    t.not(pem(), before);
    kit.write('root.crl', 'nothing');
    credentials.refresh(now + 8 * DAY_MS);
    t.match(rig.warnings, [{ file: 'root.crl', reason: /there is no revocation list in it/ }]);
    t.equal(rig.changes, 2, 'one that is none changes nothing');
  },
);

testWith(
  missing,
  'validity: of two lists of one issuer the later counts',
  { timeout },
  async (t) => {
    const kit = makeKit(t);
    kit.authority('other');
    kit.revocationList('old.crl', 'root', 1);
    kit.revocationList('new.crl', 'root', WEEK_SECONDS);
    kit.revocationList('other.crl', 'other', 2 * WEEK_SECONDS);
    kit.join('all.crl', 'new.crl', 'old.crl', 'other.crl');
    const config = configOf(
      '{ self_signed: [localhost], client_auth: { ca: root.pem, crl: all.crl } }',
    );
    const { credentials } = makeCredentials(t);
    credentials.adopt(credentials.prepare(config));
    const lists = credentials.validities.filter(({ kind }) => kind === 'revocation_list');
    t.strictSame(lists.map(({ name }) => name).sort(), ['CN=other', 'CN=root']);
    const now = Date.now();
    for (const { notAfterMs } of lists) t.ok(notAfterMs! > now + 6 * DAY_MS);
  },
);

testWith(
  missing,
  'validity: a response about another certificate is not sent, and told',
  { timeout },
  async (t) => {
    const kit = makeKit(t);
    kit.issue('next', { issuer: 'root', names: ['DNS:site.test'] });
    kit.ocsp('site.ocsp', 'site', 'root');
    kit.ocsp('next.ocsp', 'next', 'root');
    kit.write('stapled', Buffer.from(kit.text('next.ocsp'), 'latin1'));
    const config = configOf('{ certificates: [{ cert: site.pem, key: site.key, ocsp: stapled }] }');
    const { rig, credentials } = makeCredentials(t);
    const isStapled = () => credentials.settings.get('web')!.certificates[0]!.ocsp !== undefined;
    credentials.adopt(credentials.prepare(config));
    t.notOk(isStapled());
    t.match(rig.warnings, [{ message: /OCSP response is about another cert/, file: 'stapled' }]);
    kit.write('stapled', Buffer.from(kit.text('site.ocsp'), 'latin1'));
    credentials.refresh();
    t.ok(isStapled(), 'the right one is taken when it comes');
    kit.write('stapled', Buffer.from(kit.text('next.ocsp'), 'latin1'));
    rig.warnings.length = 0;
    credentials.refresh();
    t.ok(isStapled(), 'and kept when the next certificate’s comes before that');
    t.match(rig.warnings, [{ file: 'stapled', reason: /about another certificate/ }]);
  },
);

testWith(missing, 'validity: chains, and what upstreams are shown', { timeout }, async (t) => {
  const kit = makeKit(t);
  kit.authority('middle', 'root');
  kit.issue('leaf', { issuer: 'middle', names: ['DNS:leaf.test'], days: 90 });
  kit.join('chain.pem', 'leaf.pem', 'middle.pem');
  const config = configOf(
    '{ certificates: [{ cert: chain.pem, key: leaf.key }] }',
    ', tls: { cert: site.pem, key: site.key }',
  );
  const { credentials } = makeCredentials(t);
  credentials.adopt(credentials.prepare(config));
  const names = ({ owner, name, kind }: Validity) => ({ ...owner, name, kind });
  const kind = 'certificate';
  t.strictSame(credentials.validities.map(names), [
    { listener: 'web', name: 'leaf.test', kind },
    { listener: 'web', name: 'CN=middle', kind },
    { upstream: 'app', name: 'site.test', kind },
  ]);
  const states = (days: number) =>
    validityChecks(config, Date.now() + days * DAY_MS).map(({ state }) => state);
  t.strictSame(states(0), ['ok', 'ok', 'ok']);
  t.strictSame(states(31), ['ok', 'low', 'ok'], 'the issuer ends before whom it vouches for');
  const [, issuer] = validityChecks(config, Date.now() + 31 * DAY_MS);
  t.match(issuer!.name, /^listener web: certificate chain\.pem$/);
  t.match(issuer!.detail, /^a certificate has expired \(CN=middle, valid until 20\d\d-/);
});
