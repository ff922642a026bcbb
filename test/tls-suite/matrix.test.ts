// Versions, ciphers, keys, full and resumed handshakes: what clients see, and what the access line says of it.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { runProgram } from '#test/support/programs/program.js';
import { OpensslClient } from '#test/support/tls/openssl-client.js';
import { authority, kit } from '#test/support/tls/tls-kit.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import {
  type Agreement,
  ciphers,
  combinations,
  type SuiteConfig,
  servedTls,
  signatures,
  suiteTest,
} from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 40_000 };
const missing = missingProgram(['openssl']);

const config = (kind: object, endpoint: string): SuiteConfig => ({
  listeners: { in: { tls: servedTls(), ...kind } },
  upstreams: { one: { endpoints: [endpoint] } },
});

suiteTest(missing, 'tls matrix: openssl s_client', timeout, async (t, { start }) => {
  const origin = await echoOrigin(t);
  const proxy = await start(config({ tcp: { upstream: 'one' } }, origin.address));
  await Promise.all(
    combinations.map(async ({ version, cipher, key }) => {
      const file = kit.path(`session-${cipher}-${key}`);
      const flag = version === 'TLSv1.2' ? ['-tls1_2', '-cipher'] : ['-tls1_3', '-ciphersuites'];
      const options = [...flag, cipher, '-sigalgs', signatures[key]];
      for (const [what, option] of [
        ['New', '-sess_out'],
        ['Reused', '-sess_in'],
      ] as const) {
        const client = new OpensslClient(t, proxy.port, ...options, option, file);
        client.write('there and back\n');
        await client.says(/^there and back$/m);
        client.write('Q\n');
        await client.end();
        t.match(client.output, `${what}, ${version}, Cipher is ${cipher}\n`, `${what}, ${key}`);
        t.match(client.output, /Verify return code: 0/);
        t.match(client.output, /Compression: NONE/);
        if (version === 'TLSv1.3') t.match(client.output, /Max Early Data: 0/, what);
        if (what === 'New') t.match(client.output, `Peer signature type: ${key}`);
      }
    }),
  );
  const lines = await proxy.linesOf(2 * combinations.length);
  const seen = lines.map(({ tls, close }) => {
    const { version, cipher, resumed } = tls as Record<string, unknown>;
    return `TLSv${version} ${cipher} ${resumed} ${close}`;
  });
  const expected = combinations.flatMap(({ version, cipher }) =>
    [false, true].map((resumed) => `${version} ${cipher} ${resumed} done`),
  );
  t.strictSame(seen.sort(), expected.sort());
});

suiteTest(missing, 'tls matrix: Node', timeout, async (t, { start }) => {
  const origin = await echoOrigin(t);
  const proxy = await start(config({ tcp: { upstream: 'one' } }, origin.address));
  const visit = async ({ version, cipher, key }: Agreement, session?: Buffer) => {
    const socket: TLSSocket = connect({
      ...{ host: '127.0.0.1', port: proxy.port, servername: 'a.test', ca: authority() },
      ...{ minVersion: version, maxVersion: version },
      ...{ ciphers: cipher, sigalgs: signatures[key] },
      ...(session && { session }),
    });
    let last: Buffer | undefined;
    socket.on('session', (ticket: Buffer) => {
      last = ticket;
    });
    socket.write('there and back');
    const [heard] = await within(10_000, 'the echo', once(socket, 'data'));
    t.equal(String(heard), 'there and back');
    t.equal(socket.getCipher().standardName.startsWith('TLS_'), true);
    t.equal(socket.getCipher().name, cipher);
    t.equal(socket.isSessionReused(), session !== undefined, `${cipher}, ${key}`);
    const kind = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType;
    if (session === undefined) t.equal(kind, key === 'RSA' ? 'rsa' : 'ec');
    socket.end();
    await within(10_000, 'the end', once(socket, 'close'));
    return last;
  };
  await Promise.all(
    combinations.map(async (combination) => {
      const first = await visit(combination);
      t.ok(first, 'a ticket');
      const second = await visit(combination, first);
      // Tickets of TLS 1.3 are for one connection: a resumed one is given the next.
      if (combination.version === 'TLSv1.3') {
        t.ok(second, 'another ticket');
        await visit(combination, second);
      }
    }),
  );
});

suiteTest(
  missingProgram(['openssl', 'curl']),
  'tls matrix: curl',
  timeout,
  async (t, { start }) => {
    const origin = createServer((request, response) => {
      response.setHeader('Connection', 'close');
      request.pipe(response);
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const endpoint = `127.0.0.1:${(origin.address() as AddressInfo).port}`;
    const proxy = await start(config({ http: { routes: [{ upstream: 'one' }] } }, endpoint));
    const url = `https://a.test:${proxy.port}/`;
    // curl leaves the choice of the key to the server, where the cipher does.
    for (const { version, cipher } of [
      ...ciphers,
      ...combinations.filter(({ version, key }) => version === 'TLSv1.2' && key === 'RSA'),
    ]) {
      const before = proxy.lines('request').length;
      const number = version.slice(4);
      const { stdout } = await runProgram(
        [
          ...['curl', '-sS', '--cacert', kit.path('authority.pem'), '--http1.1'],
          ...['--resolve', `a.test:${proxy.port}:127.0.0.1`, '-H', 'Connection: close'],
          ...[`--tlsv${number}`, '--tls-max', number],
          ...[version === 'TLSv1.2' ? '--ciphers' : '--tls13-ciphers', cipher],
          // Three times, over connections of their own.
          ...['--data-binary', `by ${cipher} `, url, url, url],
        ],
        10_000,
      );
      t.equal(stdout.toString(), `by ${cipher} `.repeat(3), cipher);
      const lines = (await proxy.linesOf(before + 3, 'request')).slice(before);
      t.match(
        lines.map(({ tls }) => tls),
        // It takes no tickets in TLS 1.2 (SSL_OP_NO_TICKET), and nothing else is given.
        [false, true, true].map((again) => ({
          version: number,
          cipher,
          resumed: again && version === 'TLSv1.3',
          kernel_tx: place.kernel === 'require',
          kernel_rx: place.kernel === 'require',
        })),
      );
    }
    await new Promise((resolve) => origin.close(resolve));
  },
);
