// The sample for clients with certificates of their own.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { runProgram } from '#test/support/programs/program.js';
import { authority, kit } from '#test/support/tls/tls-kit.js';

const timeout = { timeout: 30_000 };

testWith(
  missingProgram(['openssl', 'curl']),
  'tls mutual: the sample lets in who has a certificate, and says who it is',
  timeout,
  async (t) => {
    authority();
    const names: (string | undefined)[] = [];
    const app = createServer(({ headers }: { headers: IncomingHttpHeaders }, response) => {
      names.push(headers['x-client-subject'] as string | undefined);
      response.end('ok');
    });
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
    t.teardown(() => app.close());
    const { port } = app.address() as AddressInfo;
    const headgate = await startHeadgate(['run', '-c', 'config/mutual-tls.yaml'], {
      prefix: [
        ...['env', `CLIENT_CA=${kit.path('authority.pem')}`, 'LISTEN=127.0.0.1:0'],
        `APP=127.0.0.1:${port}`,
      ],
    });
    t.teardown(() => headgate.kill());
    for (const [name, subject] of [
      ['alice', '/CN=alice'],
      ['bob', '/OU=operators/CN=bob'],
    ] as const) {
      kit.issue(name, { issuer: 'authority', commonName: subject.slice(4) });
      kit.openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
      kit.openssl(
        ...['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, '-days', '30'],
        ...['-CA', 'authority.pem', '-CAkey', 'authority.key', '-set_serial', `${name.length}`],
      );
    }
    const ask = async (path: string, name: string) => {
      const { stdout } = await runProgram(
        [
          ...['curl', '-sSk', '-o', '/dev/null', '-w', '%{http_code}'],
          ...['--cert', kit.path(`${name}.pem`), '--key', kit.path(`${name}.key`)],
          ...['-H', 'X-Client-Subject: CN=bob', `https://${headgate.address}${path}`],
        ],
        10_000,
      );
      return Number(stdout.toString());
    };
    t.equal(await ask('/', 'alice'), 200);
    t.equal(await ask('/admin/x', 'alice'), 403);
    t.equal(await ask('/admin/x', 'bob'), 200);
    t.strictSame(
      names,
      ['CN=alice', 'CN=bob,OU=operators'],
      'as the certificate says, not the client',
    );
    const nobody = ['curl', '-sSk', `https://${headgate.address}/`];
    await t.rejects(runProgram(nobody, 10_000), /alert|certificate required|reset/i);
    t.equal(names.length, 2);
  },
);
