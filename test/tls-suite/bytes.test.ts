// Every length of bytes with every cipher, full and resumed, both directions at once, compared one by one.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { echoOrigin } from '#test/support/control/live-proxy.js';
import { until } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { runProgram } from '#test/support/programs/program.js';
import { OpensslClient } from '#test/support/tls/openssl-client.js';
import { kit } from '#test/support/tls/tls-kit.js';
import { begin, dialPeer, swap, up } from '#test/support/tls-suite/suite-flow.js';
import { place } from '#test/support/tls-suite/tls-place.js';
import { ciphers, servedTls, suiteTest, versions } from '#test/support/tls-suite/tls-suite.js';

const timeout = { timeout: 60_000 };
const missing = missingProgram(['openssl']);
const MiB = 1 << 20;
/** Two programs and the kernel share one processor where that is slow. */
const longest = (place.isSlow ? 16 : 64) * MiB;

for (const agreement of ciphers) {
  const { version, cipher } = agreement;
  suiteTest(
    missing,
    `tls bytes: 1 B to ${longest / MiB} MiB both directions at once, full and resumed, ${version}, ${cipher}`,
    timeout,
    async (t, suite) => {
      const { proxy, origin } = await begin(t, suite);
      let session: Buffer | undefined;
      let flows = 0;
      for (const length of [1, 16_384, 16_385, 1_000_003, longest]) {
        for (const isResumed of [false, true]) {
          // What a full handshake changes, the shorter ones have shown; there the longest is sent once.
          if (place.isSlow && length === longest && !isResumed) continue;
          const client = dialPeer(proxy, agreement, isResumed ? session : undefined);
          const socket = client.socket as TLSSocket;
          socket.on('session', (ticket: Buffer) => {
            session ??= ticket;
          });
          let isReused: boolean | undefined;
          socket.on('secureConnect', () => {
            isReused = socket.isSessionReused();
          });
          const upstream = await origin.accept();
          await swap(client, upstream, length);
          flows += 1;
          t.equal(isReused, isResumed, `${length} bytes`);
          t.ok(session, 'a ticket');
        }
      }
      const lines = await proxy.linesOf(flows);
      t.strictSame(new Set(lines.map(({ close }) => close)), new Set(['done']));
      t.match(lines.at(-1), {
        ...{ bytes_up: longest, bytes_down: longest },
        ...{ path_up: place.longPath, path_down: place.longPath },
        tls: { cipher, resumed: true },
      });
    },
  );
}

/** Four programs and the kernel share one processor where that is slow. */
const curlMiB = place.isSlow ? 16 : 64;

suiteTest(
  missingProgram(['openssl', 'curl']),
  `tls bytes: curl posts 1 B to ${curlMiB} MiB and hears them at the same time`,
  timeout,
  async (t, { start }) => {
    const origin = createServer((request, response) => {
      response.setHeader('Content-Length', request.headers['content-length']!);
      request.pipe(response);
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    t.teardown(() => origin.close());
    const { port } = origin.address() as AddressInfo;
    const proxy = await start({
      listeners: { in: { tls: servedTls(), http: { routes: [{ upstream: 'one' }] } } },
      upstreams: { one: { endpoints: [`127.0.0.1:${port}`] } },
    });
    const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    for (const length of [1, 16_384, 16_385, 1_000_003, curlMiB * MiB]) {
      const sent = up.slice(0, length);
      const file = kit.write('body', sent);
      for (const version of versions) {
        const number = version.slice(4);
        const command = [
          ...['curl', '-sS', '--cacert', kit.path('authority.pem'), '-H', 'Expect:', '-T', file],
          ...[`--tlsv${number}`, '--tls-max', number],
          ...['--resolve', `a.test:${proxy.port}:127.0.0.1`, `https://a.test:${proxy.port}/`],
        ];
        const { stdout } = await runProgram(command, 45_000);
        t.equal(sha(stdout), sha(sent), `${length} bytes, ${version}`);
      }
    }
  },
);

suiteTest(
  missing,
  'tls bytes: openssl s_client says 1 B to 1 MB and hears them at the same time',
  timeout,
  async (t, { start }) => {
    const origin = await echoOrigin(t);
    const proxy = await start({
      listeners: { in: { tls: servedTls(), tcp: { upstream: 'one' } } },
      upstreams: { one: { endpoints: [origin.address] } },
    });
    const lengths = [1, 16_384, 16_385, 1_000_003];
    for (const flag of ['-tls1_2', '-tls1_3']) {
      for (const length of lengths) {
        const client = new OpensslClient(t, proxy.port, flag, '-quiet');
        const sent = up.slice(0, length).toString('latin1');
        client.write(sent, 'latin1');
        const isBack = () => client.output.endsWith(sent);
        // It says on the other stream whom it trusts, before anything else.
        const isVerified = () => /depth=0[\s\S]*verify return:1/.test(client.output);
        await until(20_000, `${length} bytes`, () => isVerified() && isBack());
        client.stop();
      }
    }
    const lines = await proxy.linesOf(2 * lengths.length);
    t.match(
      lines,
      [...lengths, ...lengths].map((length) => ({ bytes_up: length, bytes_down: length })),
    );
  },
);
