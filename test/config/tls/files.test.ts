import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { formatProblem, type Loaded, loadConfig } from '#src/config/index.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

const missing = missingProgram(['openssl']);
const timeout = 20_000;

/** Everything that these tests read, made once; the current directory, so that messages are short. */
function makeFiles(directory: string): CertificateKit {
  const kit = new CertificateKit(directory);
  kit.authority('root');
  kit.authority('middle', 'root');
  kit.issue('site', { issuer: 'middle', names: ['DNS:site.test', 'DNS:*.site.test'] });
  kit.issue('rsa', { issuer: 'middle', names: ['DNS:Site.Test'], key: 'rsa:2048' });
  kit.issue('old', { names: ['DNS:old.test'], days: -1 });
  kit.issue('nameless', { names: ['IP:127.0.0.1'], commonName: 'just some words' });
  kit.issue('common', { commonName: 'common.test' });
  kit.issue('weak', { key: 'rsa:1024' });
  kit.issue('narrow', { key: 'ec:prime192v1' });
  kit.join('chain.pem', 'site.pem', 'middle.pem');
  kit.join('reversed.pem', 'middle.pem', 'site.pem');
  kit.join('gap.pem', 'site.pem', 'root.pem');
  kit.join('all.pem', 'site.key', 'site.pem', 'middle.pem');
  kit.openssl('pkcs8', '-topk8', '-in', 'site.key', '-passout', 'pass:river', '-out', 'locked.key');
  kit.openssl('ec', '-in', 'site.key', '-aes128', '-passout', 'pass:river', '-out', 'legacy.key');
  kit.write('right.pass', 'river\nmore\n');
  kit.write('wrong.pass', 'sea\n');
  kit.write('empty.pass', '\n');
  kit.write('empty', '');
  kit.write('huge', Buffer.alloc(4 * 1024 * 1024 + 1));
  kit.issue('star', { names: ['DNS:*', 'DNS:star.test'] });
  kit.write('torn.pem', kit.text('site.pem').replace(/^MII/m, 'AAA'));
  kit.write('cut.pem', `${kit.text('site.pem')}${kit.text('middle.pem').slice(0, 200)}`);
  kit.write('cut-roots.pem', `${kit.text('middle.pem').slice(0, 200)}\n${kit.text('root.pem')}`);
  kit.write('torn.key', kit.text('site.key').replace(/^MI/m, 'AA'));
  kit.ocsp('site.ocsp', 'site', 'middle');
  kit.ocsp('rsa.ocsp', 'rsa', 'middle');
  kit.ocsp('revoked.ocsp', 'site', 'middle', 'revoked');
  kit.write('one.tickets', randomBytes(80));
  kit.write('three.tickets', randomBytes(240));
  kit.write('short.tickets', randomBytes(48));
  kit.write('many.tickets', randomBytes(80 * 17));
  kit.revocationList('root.crl', 'root', 7 * 86_400);
  kit.write('cut.crl', `${kit.text('root.crl')}${kit.text('root.crl').slice(0, 200)}`);
  kit.write('torn.crl', kit.text('root.crl').replace(/^MI/m, 'AA'));
  mkdirSync(`${directory}/folder`);
  return kit;
}

const upstreams = 'upstreams: { app: { endpoints: ["127.0.0.1:1"] } }';

function listener(tls: string): Loaded {
  const web = `bind: "127.0.0.1:80", tcp: { upstream: app }, tls: ${tls}`;
  return loadConfig(`${upstreams}\nlisteners: { web: { ${web} } }`, { file: 'f', env: {} });
}

function upstream(tls: string): Loaded {
  const text = `listeners: { web: { bind: "127.0.0.1:80", tcp: { upstream: app } } }
upstreams: { app: { endpoints: ["127.0.0.1:1"], tls: ${tls} } }`;
  return loadConfig(text, { file: 'f', env: {} });
}

/** Messages without where they are and the key they begin with. */
function reasons(loaded: Loaded): string[] {
  if (loaded.ok) return [];
  return loaded.problems.map((problem) =>
    formatProblem(problem).replace(/^f:2:\d+: \w+\.\w+\.tls\.?/, ''),
  );
}

testWith(
  missing,
  'tls files: each kind of file is found wrong in its own way',
  { timeout },
  async (t) => {
    const kit = makeFiles(t.testdir());
    process.chdir(kit.directory);
    const wrong: Record<string, RegExp[]> = {
      'cert: nowhere.pem': [
        /^certificates\[0\]\.cert is "nowhere.pem": there is no such file, expected certificates \(PEM\)$/,
      ],
      'cert: folder, key: site.key': [/cert is "folder": it is a directory/],
      'cert: /dev/zero, key: site.key': [/cert is "\/dev\/zero": it is not a regular file/],
      'cert: huge, key: site.key': [
        /cert is "huge": it has 4194305 bytes, which is more than 4 MiB, expected certificates \(PEM\)$/,
      ],
      'cert: empty, key: site.key': [/cert is "empty": there is no certificate in it/],
      'cert: site.key, key: site.key': [/cert is "site.key": there is no certificate in it/],
      'cert: torn.pem, key: site.key': [/cert is "torn.pem": certificate 1 cannot be read: /],
      'cert: cut.pem, key: site.key': [
        /cert is "cut.pem": a certificate of the 2 in it has no end: the file is cut short or damaged, expected certificates \(PEM\)$/,
      ],
      'cert: site.pem': [/cert is "site.pem": there is no private key in it/],
      'cert: site.pem, key: nowhere.key': [/key is "nowhere.key": there is no such file/],
      'cert: site.pem, key: site.pem': [/key is "site.pem": there is no private key in it/],
      'cert: site.pem, key: torn.key': [/key is "torn.key": it cannot be read: /],
      'cert: site.pem, key: rsa.key': [
        /key is "rsa.key": it is not the key of the certificate, expected the one that was made with it$/,
      ],
      'cert: reversed.pem, key: site.key': [
        /cert is "reversed.pem": certificate 2 \(CN=site\) did not sign certificate 1 \(CN=middle\), expected the certificate of the server, then/,
      ],
      'cert: gap.pem, key: site.key': [
        /certificate 2 \(CN=root\) did not sign certificate 1 \(CN=site\)/,
      ],
      'cert: chain.pem, key: middle.key': [
        /it is the key of certificate 2 of the chain, expected that one to be the first/,
      ],
      'cert: weak.pem, key: weak.key': [
        /cert is "weak.pem": its key is RSA of 1024 bits, expected RSA of 2048 bits or more/,
      ],
      'cert: narrow.pem, key: narrow.key': [/its key is on the curve prime192v1/],
      'cert: site.pem, key: locked.key': [
        /key is "locked.key": it is encrypted, expected a "passphrase_file" beside it/,
      ],
      'cert: site.pem, key: legacy.key': [/key is "legacy.key": it is encrypted/],
      'cert: site.pem, key: locked.key, passphrase_file: wrong.pass': [
        /passphrase_file is "wrong.pass": it does not decrypt locked.key \(.+\), expected its passphrase/,
      ],
      'cert: site.pem, key: legacy.key, passphrase_file: wrong.pass': [
        /it does not decrypt legacy.key/,
      ],
      'cert: site.pem, key: locked.key, passphrase_file: empty.pass': [/its first line is empty/],
      'cert: site.pem, key: locked.key, passphrase_file: nowhere': [
        /passphrase_file is "nowhere": there is no such file/,
      ],
      'cert: site.pem, key: site.key, ocsp: site.pem': [
        /ocsp is "site.pem": it cannot be read: .*, expected an OCSP response \(DER\)/,
      ],
      'cert: site.pem, key: site.key, ocsp: empty': [/ocsp is "empty": it cannot be read/],
      'cert: site.pem, key: site.key, ocsp: nowhere': [
        /there is no such file, expected an OCSP response/,
      ],
      'cert: site.pem, key: site.key, ocsp: revoked.ocsp': [
        /it says that the certificate is revoked/,
      ],
      'cert: site.pem, key: site.key, names: [site.test, other.test, a.b.site.test]': [
        /names\[1\] is "other.test": not a name of site.pem, expected site.test, \*\.site\.test$/,
        /names\[2\] is "a.b.site.test"/,
      ],
      'cert: nameless.pem, key: nameless.key, names: [a.test]': [
        /expected a certificate with names$/,
      ],
      'cert: torn.pem, key: locked.key, ocsp: nowhere': [
        /cert is "torn.pem"/,
        /key is "locked.key": it is encrypted/,
        /ocsp is "nowhere": there is no such file, expected an OCSP response/,
      ],
      'cert: torn.pem, key: site.key, names: [other.test], ocsp: site.ocsp': [/cert is "torn.pem"/],
      'cert: site.pem, key: nowhere.key, names: [other.test], ocsp: nowhere': [
        /key is "nowhere.key": there is no such file/,
        /names\[0\] is "other.test": not a name of site.pem/,
        /ocsp is "nowhere": there is no such file/,
      ],
    };
    for (const [keys, expected] of Object.entries(wrong)) {
      const found = reasons(listener(`{ certificates: [{ ${keys} }] }`));
      t.equal(found.length, expected.length, `${keys}: ${found.join('\n')}`);
      for (const [index, pattern] of expected.entries()) t.match(found[index], pattern, keys);
    }
    const whole = 'certificates: [{ cert: site.pem, key: site.key }]';
    const beside: Record<string, RegExp> = {
      'session_tickets: { key_file: short.tickets }':
        /^session_tickets.key_file is "short.tickets": it has 48 bytes, expected 1 to 16 keys of 80 bytes/,
      'session_tickets: { key_file: many.tickets }': /it has 1360 bytes/,
      'session_tickets: { key_file: empty }': /it has 0 bytes/,
      'session_tickets: { key_file: nowhere }': /there is no such file, expected ticket keys/,
      'client_auth: { ca: nowhere }': /^client_auth.ca is "nowhere": there is no such file/,
      'client_auth: { ca: root.key }': /there is no certificate in it/,
      'client_auth: { ca: cut-roots.pem }': /a certificate of the 2 in it has no end/,
      'client_auth: { ca: root.pem, crl: cut.crl }': /a revocation list of the 2 in it has no end/,
      'client_auth: { ca: root.pem, crl: root.pem }': /there is no revocation list in it/,
      'client_auth: { ca: root.pem, crl: torn.crl }': /it cannot be read/,
    };
    for (const [keys, pattern] of Object.entries(beside)) {
      t.match(reasons(listener(`{ ${whole}, ${keys} }`)), [pattern], keys);
    }
    const client: Record<string, RegExp> = {
      'ca: nowhere': /^ca is "nowhere": there is no such file/,
      'ca: cut-roots.pem': /a certificate of the 2 in it has no end/,
      'ca: site.key': /there is no certificate in it/,
      'cert: site.pem, key: rsa.key': /^key is "rsa.key": it is not the key/,
      'key: site.key': /^key is there without "cert"/,
    };
    for (const [keys, pattern] of Object.entries(client)) {
      t.match(reasons(upstream(`{ ${keys} }`)), [pattern], keys);
    }
  },
);

testWith(
  missing,
  'tls files: what is well is read, and keys are decrypted',
  { timeout },
  async (t) => {
    const kit = makeFiles(t.testdir());
    process.chdir(kit.directory);
    const whole: Record<string, readonly string[]> = {
      'cert: site.pem, key: site.key': ['site.test', '*.site.test'],
      'cert: chain.pem, key: site.key, ocsp: site.ocsp': ['site.test', '*.site.test'],
      'cert: all.pem': ['site.test', '*.site.test'],
      'cert: site.pem, key: locked.key, passphrase_file: right.pass': ['site.test', '*.site.test'],
      'cert: site.pem, key: legacy.key, passphrase_file: right.pass': ['site.test', '*.site.test'],
      'cert: rsa.pem, key: rsa.key': ['site.test'],
      'cert: old.pem, key: old.key': ['old.test'],
      'cert: nameless.pem, key: nameless.key': [],
      'cert: star.pem, key: star.key': ['star.test'],
      'cert: common.pem, key: common.key': ['common.test'],
      'cert: site.pem, key: site.key, names: [a.SITE.test]': ['a.site.test'],
      'cert: site.pem, key: site.key, names: ["*"]': ['*'],
    };
    for (const [keys, names] of Object.entries(whole)) {
      const loaded = listener(`{ certificates: [{ ${keys} }] }`);
      t.strictSame(reasons(loaded), [], keys);
      if (!loaded.ok) continue;
      const [certificate] = loaded.config.listeners[0]!.tls!.certificates;
      t.strictSame(certificate!.names, names, keys);
      t.match(certificate!.privateKey, /^-----BEGIN PRIVATE KEY-----/, 'decrypted');
    }
    const loaded = listener(
      '{ certificates: [{ cert: chain.pem, key: site.key }], session_tickets: { key_file: three.tickets }, client_auth: { mode: request, ca: root.pem, verify_depth: 1, crl: root.crl } }',
    );
    t.match(loaded, {
      config: {
        listeners: [
          {
            tls: {
              certificates: [
                {
                  file: 'chain.pem',
                  subject: 'CN=site',
                  ocspFile: null,
                  chain: /(BEGIN CERT[\s\S]+){2}/,
                },
              ],
              selfSigned: [],
              tickets: { keyFile: 'three.tickets' },
              clientAuth: {
                mode: 'request',
                ca: /BEGIN CERT/,
                verifyDepth: 1,
                crlFile: 'root.crl',
              },
            },
          },
        ],
      },
    });
    t.strictSame(structuredClone(loaded), loaded, 'plain data');
    t.match(upstream('{ ca: root.pem, cert: all.pem, server_name: db.test }'), {
      config: {
        upstreams: [
          { tls: { verify: true, serverName: 'db.test', certificate: { chain: /BEGIN/ } } },
        ],
      },
    });
  },
);

testWith(missing, 'tls files: each problem stands where its value does', { timeout }, async (t) => {
  const kit = makeFiles(t.testdir());
  process.chdir(kit.directory);
  const text = `listeners:
  web:
    bind: "127.0.0.1:80"
    tls:
      certificates:
        - { cert: site.pem, key: rsa.key }
        - cert: nowhere.pem
          key: locked.key
          names: [x.test]
      session_tickets:
        key_file: short.tickets
    tcp: { upstream: app }
upstreams:
  app: { endpoints: ["127.0.0.1:1"], tls: { ca: torn.pem } }
`;
  const loaded = loadConfig(text, { file: 'f', env: {} });
  const places = loaded.ok ? [] : loaded.problems.map(({ line, column }) => `${line}:${column}`);
  t.strictSame(places, ['6:34', '7:17', '8:16', '11:19', '14:49']);
});
