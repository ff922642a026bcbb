import { spawnSync } from 'node:child_process';
import t from 'tap';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { programPath } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);

testWith(
  missing,
  'check: what has ended is warned of, and valid',
  { timeout: 30_000 },
  async (t) => {
    const kit = new CertificateKit(t.testdir());
    kit.authority('root');
    kit.issue('site', { issuer: 'root', names: ['DNS:site.test'], days: 90 });
    kit.issue('old', { issuer: 'root', names: ['DNS:old.test'], days: -1 });
    kit.ocsp('site.ocsp', 'site', 'root');
    kit.ocsp('old.ocsp', 'old', 'root');
    kit.revocationList('root.crl', 'root', 1);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const check = (tls: string) => {
      kit.write(
        'headgate.yaml',
        `listeners: { web: { bind: "unix:@a", tcp: { upstream: app }, tls: ${tls} } }
upstreams: { app: { endpoints: ["127.0.0.1:1"] } }
`,
      );
      const line = withoutLoader([process.execPath, programPath, 'check']);
      return spawnSync(line[0]!, line.slice(1), { encoding: 'utf8', cwd: kit.directory });
    };
    const good = check('{ certificates: [{ cert: site.pem, key: site.key, ocsp: site.ocsp }] }');
    t.match(good, { status: 0, stdout: 'headgate.yaml: ok\n', stderr: '' });
    const certificates =
      '[{ cert: site.pem, key: site.key, ocsp: old.ocsp }, { cert: old.pem, key: old.key }]';
    const clients = 'client_auth: { ca: root.pem, crl: root.crl }';
    const { status, stdout, stderr } = check(`{ certificates: ${certificates}, ${clients} }`);
    t.match({ status, stdout }, { status: 0, stdout: 'headgate.yaml: ok\n' });
    const [response, certificate, list, ...others] = stderr.trimEnd().split('\n');
    const begin = 'headgate.yaml: warning: listener web';
    t.ok(
      response!.startsWith(`${begin}: OCSP response old.ocsp: an OCSP response is about another`),
    );
    t.match(
      certificate,
      `${begin}: certificate old.pem: a certificate has expired (old.test, valid`,
    );
    t.match(list, `${begin}: revocation list root.crl: a revocation list is out of date`);
    t.match(list, /\(CN=root, valid until 20\d\d-[\d-]+T[\d:.]+Z\)$/);
    t.strictSame(others, []);
  },
);

t.test('check: users and groups that are not on this machine are warned of', async (t) => {
  const file = `${t.testdir({
    'gate.yaml': `user: no-such-user
group: no-such-group
listeners:
  web: { bind: "unix:/tmp/a", socket: { owner: no-such-owner, group: "0" }, tcp: { upstream: app } }
  tcp: { bind: "127.0.0.1:0", socket: { owner: nobody-needs-it }, tcp: { upstream: app } }
upstreams: { app: { endpoints: ["127.0.0.1:1"] } }
`,
  })}/gate.yaml`;
  const line = withoutLoader([process.execPath, programPath, 'check', '-c', file]);
  const { status, stderr } = spawnSync(line[0]!, line.slice(1), { encoding: 'utf8' });
  t.equal(status, 0, 'another machine may have them');
  t.strictSame(stderr.trimEnd().split('\n'), [
    `${file}: warning: user: there is no user "no-such-user" in /etc/passwd`,
    `${file}: warning: group: there is no group "no-such-group" in /etc/group`,
    `${file}: warning: listeners.web.socket.owner: there is no user "no-such-owner" in /etc/passwd`,
  ]);
});
