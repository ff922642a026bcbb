import { formatProblem, loadConfig } from '#src/config/index.js';
import { unusedCertificateChecks } from '#src/control/tls/index.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);
const timeout = 20_000;

testWith(
  missing,
  'unused certificates: those whose names earlier ones have',
  { timeout },
  async (t) => {
    const kit = new CertificateKit(t.testdir());
    process.chdir(kit.directory);
    kit.authority('root');
    kit.issue('old', { issuer: 'root', names: ['DNS:site.test', 'DNS:www.site.test'] });
    kit.issue('new', { issuer: 'root', names: ['DNS:site.test'] });
    kit.issue('other', { issuer: 'root', names: ['DNS:site.test', 'DNS:other.test'] });
    kit.issue('both', { issuer: 'root', names: ['DNS:other.test', 'DNS:www.site.test'] });
    kit.issue('rsa', { issuer: 'root', names: ['DNS:site.test'], key: 'rsa:2048' });
    const unused = (...names: string[]) => {
      const certificates = names.map((name) => ({ cert: `${name}.pem`, key: `${name}.key` }));
      const loaded = loadConfig(`
listeners: { web: { bind: "unix:@a", tcp: { upstream: app }, tls: ${JSON.stringify({ certificates })} } }
upstreams: { app: { endpoints: ["127.0.0.1:1"] } }`);
      if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'));
      return unusedCertificateChecks(loaded.config);
    };
    t.strictSame(unused('old'), []);
    t.strictSame(unused('new', 'old', 'other', 'rsa'), [], 'each has a name, or a kind of key');
    t.strictSame(unused('old', 'rsa', 'new'), [
      {
        name: 'listener web: certificate new.pem',
        state: 'low',
        detail:
          'no client is shown it: old.pem before it has its names (site.test) and a key of the same kind',
      },
    ]);
    const [shadowed, ...others] = unused('old', 'other', 'both');
    t.strictSame(others, []);
    t.match(shadowed!.detail, /: old\.pem, other\.pem before it have its names \(other\.test, www/);
  },
);
