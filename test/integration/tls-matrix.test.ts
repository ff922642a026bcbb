// Versions, ciphers, full and resumed handshakes: what clients see, and what the access line says of it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { missingProgram, testWith } from '#test/support/capability.js';
import { startConfigured } from '#test/support/configured.js';
import { until, within } from '#test/support/deadline.js';
import { echoOrigin } from '#test/support/live-proxy.js';
import { OpensslClient } from '#test/support/openssl-client.js';
import { runProgram } from '#test/support/program.js';
import { authority, certificate, kit } from '#test/support/tls-kit.js';

const timeout = { timeout: 30_000 };
const missing = missingProgram(['openssl']);

/** By version, with the key of the certificate that the cipher needs. */
const combinations = [
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].flatMap((name) =>
    ['ECDSA', 'RSA'].map((key) => ({ version: '1.2', cipher: `ECDHE-${key}-${name}`, key })),
  ),
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'].flatMap(
    (cipher) => ['ECDSA', 'RSA'].map((key) => ({ version: '1.3', cipher, key })),
  ),
] as const;

const signatures = { ECDSA: 'ecdsa_secp256r1_sha256', RSA: 'rsa_pss_rsae_sha256' } as const;

/** A listener with certificates of both kinds for a.test. */
async function start(t: Test, kind: object, endpoint: string, upstream: object = {}) {
  authority();
  const certificates = (['ec:P-256', 'rsa:2048'] as const).map((key) => {
    const name = `${key.replace(':', '-')}.pem`;
    const made = certificate(['a.test'], key);
    return { cert: kit.write(name, made.chain + made.key) };
  });
  const { headgate } = await startConfigured(t, {
    log: { access: true },
    listeners: { in: { bind: '127.0.0.1:0', tls: { certificates }, ...kind } },
    upstreams: { one: { endpoints: [endpoint], ...upstream } },
  });
  return headgate;
}

testWith(missing, 'tls matrix: openssl s_client', timeout, async (t) => {
  const origin = await echoOrigin(t);
  const headgate = await start(t, { tcp: { upstream: 'one' } }, origin.address);
  await Promise.all(
    combinations.map(async ({ version, cipher, key }) => {
      const file = kit.path(`session-${cipher}-${key}`);
      const options = [
        ...[`-tls${version.replace('.', '_')}`, '-sigalgs', signatures[key as 'RSA' | 'ECDSA']],
        ...[version === '1.2' ? '-cipher' : '-ciphersuites', cipher],
      ];
      for (const [what, option] of [
        ['New', '-sess_out'],
        ['Reused', '-sess_in'],
      ] as const) {
        const client = new OpensslClient(t, headgate.port, ...options, option, file);
        client.write('there and back\n');
        await client.says(/^there and back$/m);
        // The echo overtakes no ticket: OpenSSL has read both before it shows either.
        client.write('Q\n');
        await client.end();
        t.match(client.output, `${what}, TLSv${version}, Cipher is ${cipher}\n`, `${what}, ${key}`);
        t.match(client.output, /Verify return code: 0/);
        if (what === 'New') t.match(client.output, `Peer signature type: ${key}`);
      }
    }),
  );
  const lines = await headgate.flowsEnded(2 * combinations.length);
  const seen = lines.map(({ tls }) => {
    const { version, cipher, resumed } = tls as Record<string, unknown>;
    return `${version} ${cipher} ${resumed}`;
  });
  const expected = combinations.flatMap(({ version, cipher }) =>
    [false, true].map((resumed) => `${version} ${cipher} ${resumed}`),
  );
  t.strictSame(seen.sort(), expected.sort());
});

testWith(missing, 'tls matrix: Node', timeout, async (t) => {
  const origin = await echoOrigin(t);
  const headgate = await start(t, { tcp: { upstream: 'one' } }, origin.address);
  const visit = async (combination: (typeof combinations)[number], session?: Buffer) => {
    const { version, cipher, key } = combination;
    const socket: TLSSocket = connect({
      host: '127.0.0.1',
      port: headgate.port,
      servername: 'a.test',
      ca: authority(),
      minVersion: `TLSv${version}` as 'TLSv1.2' | 'TLSv1.3',
      maxVersion: `TLSv${version}` as 'TLSv1.2' | 'TLSv1.3',
      ciphers: cipher,
      sigalgs: signatures[key as 'RSA' | 'ECDSA'],
      ...(session && { session }),
    });
    let last: Buffer | undefined;
    socket.on('session', (ticket: Buffer) => {
      last = ticket;
    });
    socket.write('there and back');
    const [heard] = await within(5_000, 'the echo', once(socket, 'data'));
    t.equal(String(heard), 'there and back');
    t.equal(socket.getCipher().standardName.startsWith('TLS_'), true);
    t.equal(socket.getCipher().name, cipher);
    t.equal(socket.isSessionReused(), session !== undefined, `${cipher}, ${key}`);
    const kind = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType;
    if (session === undefined) t.equal(kind, key === 'RSA' ? 'rsa' : 'ec');
    socket.end();
    await within(5_000, 'the end', once(socket, 'close'));
    return last;
  };
  await Promise.all(
    combinations.map(async (combination) => {
      const first = await visit(combination);
      t.ok(first, 'a ticket');
      const second = await visit(combination, first);
      // Tickets of TLS 1.3 are for one connection: a resumed one is given the next.
      if (combination.version === '1.3') {
        t.ok(second, 'another ticket');
        await visit(combination, second);
      }
    }),
  );
});

testWith(missingProgram(['openssl', 'curl']), 'tls matrix: curl', timeout, async (t) => {
  const origin = createServer((request, response) => {
    response.setHeader('Connection', 'close');
    request.pipe(response);
  });
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  t.teardown(() => origin.close());
  const { port } = origin.address() as AddressInfo;
  const routes = [{ upstream: 'one' }];
  const headgate = await start(t, { http: { routes } }, `127.0.0.1:${port}`);
  const requests = () => headgate.logs.filter(({ msg }) => msg === 'request');
  // curl leaves the choice of the signature to the server.
  for (const { version, cipher } of new Map(
    combinations.map((one) => [one.cipher, one]),
  ).values()) {
    const before = requests().length;
    const url = `https://a.test:${headgate.port}/`;
    const { stdout } = await runProgram(
      [
        ...['curl', '-sS', '--cacert', kit.path('authority.pem'), '--http1.1'],
        ...['--resolve', `a.test:${headgate.port}:127.0.0.1`, '-H', 'Connection: close'],
        ...[`--tlsv${version}`, '--tls-max', version],
        ...[version === '1.2' ? '--ciphers' : '--tls13-ciphers', cipher],
        // Three times, over connections of their own.
        ...['--data-binary', `by ${cipher} `, url, url, url],
      ],
      10_000,
    );
    t.equal(stdout.toString(), `by ${cipher} `.repeat(3), cipher);
    await until(3_000, 'three lines', () => requests().length === before + 3);
    const lines = requests().slice(before);
    t.match(
      lines.map(({ tls }) => tls),
      // It takes no tickets in TLS 1.2 (SSL_OP_NO_TICKET), and nothing else is given.
      [false, true, true].map((again) => ({
        version,
        cipher,
        resumed: again && version === '1.3',
      })),
    );
  }
});
