// Every length of bytes with every cipher, full and resumed, both directions at once, compared one by one.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { missingProgram } from '#test/support/capability.js';
import { runProgram } from '#test/support/program.js';
import { begin, dialPeer, swap, up } from '#test/support/suite-flow.js';
import { kit } from '#test/support/tls-kit.js';
import { place } from '#test/support/tls-place.js';
import { ciphers, servedTls, suiteTest, versions } from '#test/support/tls-suite.js';

const timeout = { timeout: 60_000 };
const missing = missingProgram(['openssl']);
const MiB = 1 << 20;

for (const agreement of ciphers) {
  const { version, cipher } = agreement;
  suiteTest(
    missing,
    `tls bytes: 1 B to 64 MiB both directions at once, full and resumed, ${version}, ${cipher}`,
    timeout,
    async (t, suite) => {
      const { proxy, origin } = await begin(t, suite);
      let session: Buffer | undefined;
      let flows = 0;
      for (const length of [1, 16_384, 16_385, 1_000_003, 64 * MiB]) {
        for (const isResumed of [false, true]) {
          // What a full handshake changes, the shorter ones have shown; there the longest is sent once.
          if (place.isSlow && length === 64 * MiB && !isResumed) continue;
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
        ...{ bytes_up: 64 * MiB, bytes_down: 64 * MiB },
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
  `tls bytes: curl posts ${curlMiB} MiB and hears them at the same time`,
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
    const sent = up.slice(0, curlMiB * MiB);
    const file = kit.write('body', sent);
    const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    for (const version of versions) {
      const number = version.slice(4);
      const command = [
        ...['curl', '-sS', '--cacert', kit.path('authority.pem'), '-H', 'Expect:', '-T', file],
        ...[`--tlsv${number}`, '--tls-max', number],
        ...['--resolve', `a.test:${proxy.port}:127.0.0.1`, `https://a.test:${proxy.port}/`],
      ];
      const { stdout } = await runProgram(command, 45_000);
      t.equal(sha(stdout), sha(sent), version);
    }
  },
);
