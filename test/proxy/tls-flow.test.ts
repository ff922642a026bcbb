// TLS on either side of a flow, through a whole worker: Node's own TLS is the client and the server.
import { createHash, randomBytes } from 'node:crypto';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import type { SocketAddress } from '#src/splice/index.js';
import { type ClientTlsSettings, type ServerTlsSettings, TlsVersion } from '#src/tls/index.js';
import { until, within } from '#test/support/deadline.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { authority, certificate } from '#test/support/tls/tls-kit.js';
import { DataWorker, type DataWorkerOptions } from '#test/support/worker/data-worker.js';

const MiB = 1 << 20;
const timeout = { timeout: 30_000 };

const base = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  // What kernels make of it: test/tls-suite.
  kernel: 'off',
} as const;

function server(settings: Partial<ServerTlsSettings> = {}): ServerTlsSettings {
  const certificates = [certificate(['a.test', '127.0.0.1'])];
  return { ...base, certificates, alpn: [], ticketKeys: [randomBytes(80)], ...settings };
}

function client(settings: Partial<ClientTlsSettings> = {}): ClientTlsSettings {
  return { ...base, serverName: 'a.test', verify: true, ca: authority(), alpn: [], ...settings };
}

/** A server that sends back what comes, FIN for FIN; over TLS where `secure`. */
class Echo {
  readonly sockets = new Set<Socket>();
  resumed = 0;
  private constructor(
    readonly server: Server,
    readonly address: SocketAddress,
  ) {}

  static async start(secure?: { names: readonly string[]; days?: number }): Promise<Echo> {
    const serve = (socket: Socket): void => {
      echo.sockets.add(socket);
      socket.on('close', () => echo.sockets.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.pipe(socket);
    };
    let made: Server;
    if (secure === undefined) made = createServer({ allowHalfOpen: true }, serve);
    else {
      const { chain, key } = certificate(secure.names, 'ec:P-256', secure.days);
      made = createTlsServer({ cert: chain, key, allowHalfOpen: true }, (socket) => {
        if (socket.isSessionReused()) echo.resumed++;
        serve(socket);
      });
      made.on('tlsClientError', () => {});
    }
    await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve));
    const { port } = made.address() as { port: number };
    const echo: Echo = new Echo(made, { family: 'inet', host: '127.0.0.1', port });
    return echo;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

/** Sends `bytes` and FIN, and gives back everything that comes. */
async function roundTrip(worker: DataWorker, bytes: Buffer, options: ConnectionOptions = {}) {
  const socket = connect({
    host: '127.0.0.1',
    port: worker.tcpPort,
    servername: 'a.test',
    ca: authority(),
    ...options,
  });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before its end')));
  });
  socket.end(bytes);
  await within(15_000, 'the echo', ended);
  return Buffer.concat(chunks);
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function tlsTest(
  name: string,
  options: Omit<DataWorkerOptions, 'endpoints'> & {
    secure?: { names: readonly string[]; days?: number };
    more?: readonly SocketAddress[];
  },
  body: (t: Test, worker: DataWorker, echo: Echo) => Promise<void>,
): void {
  t.test(name, timeout, async (t) => {
    const before = descriptors();
    const echo = await Echo.start(options.secure);
    const endpoints = [echo.address, ...(options.more ?? [])];
    const worker = new DataWorker({ logsAccess: true, ...options, endpoints });
    await worker.ready;
    await body(t, worker, echo);
    await until(5000, 'every flow ends', () => worker.count('flows_active') === 0);
    await worker.stop();
    await echo.close();
    await until(3000, 'descriptors are as before', () => same(descriptors(), before)).catch(
      () => {},
    );
    t.same(descriptors(), before, 'no descriptor is left open');
    t.equal(worker.count('exceptions'), 0);
  });
}

function same(one: object, other: object): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The access lines so far. */
function lines(worker: DataWorker): Record<string, unknown>[] {
  return worker.lines.filter(({ msg }) => msg === 'flow');
}

/** The line of the flow that ended last, of so many. */
async function lastLine(worker: DataWorker, flows = 1): Promise<Record<string, unknown>> {
  return until(3000, 'an access line', () => lines(worker)[flows - 1]);
}

t.before(async () => {
  authority();
  // Node's own machinery for threads opens its descriptors with the first one.
  await new DataWorker({ endpoints: [{ family: 'unix', path: '@nobody' }] }).stop();
  // So does OpenSSL with its first handshake, on some kernels.
  const worker = new DataWorker({
    endpoints: [{ family: 'unix', path: '@nobody' }],
    tls: server(),
  });
  await roundTrip(worker, Buffer.alloc(0)).catch(() => {});
  await worker.stop();
});

for (const [name, secure, upstreamTls] of [
  ['plain upstreams', undefined, undefined],
  ['TLS upstreams', { names: ['a.test'] }, client()],
] as const) {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    tlsTest(
      `tls flow: ${version} to ${name}, byte for byte`,
      { tls: server(), ...(secure && { secure, upstreamTls }) },
      async (t, worker) => {
        for (const length of [0, 1, 100, 16_384, 16_385, 100_000, 4 * MiB]) {
          const bytes = randomBytes(length);
          const echoed = await roundTrip(worker, bytes, { maxVersion: version });
          t.equal(sha(echoed), sha(bytes), `${length} bytes`);
          await until(3000, 'the flow ends', () => worker.count('flows_active') === 0);
        }
        t.match(await lastLine(worker, 7), {
          close: 'done',
          bytes_up: 4 * MiB,
          bytes_down: 4 * MiB,
          path_up: 'userland_tls',
          path_down: 'userland_tls',
          tls: {
            version: version.slice(4),
            server_name: 'a.test',
            kernel_tx: false,
            kernel_rx: false,
          },
          ...(secure && { upstream_tls: { version: '1.3', cipher: 'TLS_AES_256_GCM_SHA384' } }),
        });
        t.equal(worker.closed('done'), 7);
      },
    );
  }
}

tlsTest(
  'tls flow: only the upstream speaks TLS',
  { secure: { names: ['a.test'] }, upstreamTls: client() },
  async (t, worker, echo) => {
    for (let round = 0; round < 3; round++) {
      const bytes = randomBytes(300_000);
      const socket = connectTcp(worker.tcpPort, '127.0.0.1');
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.end(bytes);
      await within(5000, 'the echo', new Promise((resolve) => socket.once('end', resolve)));
      t.equal(sha(Buffer.concat(chunks)), sha(bytes));
      await until(3000, 'the flow ends', () => worker.count('flows_active') === 0);
    }
    // OpenSSL uses a TLS 1.3 ticket once (RFC 8446 §C.4), and Node's server gives no new ones.
    t.ok(echo.resumed >= 1, 'a later connection resumes the session of the first');
    await lastLine(worker, 3);
    const resumed = lines(worker).filter(
      ({ upstream_tls }) => (upstream_tls as { resumed: boolean }).resumed,
    );
    t.equal(resumed.length, echo.resumed);
  },
);

tlsTest('tls flow: HTTP at the TLS port is told so', { tls: server() }, async (t, worker) => {
  const socket = connectTcp(worker.tcpPort, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await within(3000, 'the answer', new Promise((resolve) => socket.once('end', resolve)));
  socket.destroy();
  t.match(answer, /^HTTP\/1\.1 400 /);
  t.match(await lastLine(worker), { close: 'tls_failed', tls: { failure: 'plain_http' } });
  t.equal(worker.closed('tls_failed'), 1);
});

tlsTest(
  'tls flow: a client that says nothing has so much time',
  { tls: server(), timeouts: { tlsHandshakeMs: 200 } },
  async (t, worker) => {
    const socket = connectTcp(worker.tcpPort, '127.0.0.1');
    socket.resume();
    await within(3000, 'the end', new Promise((resolve) => socket.once('close', resolve)));
    t.match(await lastLine(worker), { close: 'tls_timeout', tls: { failure: 'timeout' } });
    t.equal(worker.closed('tls_timeout'), 1);
  },
);

tlsTest(
  'tls flow: routes go by the server_name of the handshake',
  { tls: server(), serverNames: ['a.test'] },
  async (t, worker) => {
    t.equal((await roundTrip(worker, Buffer.from('routed'))).toString(), 'routed');
    const lost = roundTrip(worker, Buffer.from('x'), {
      servername: 'b.test',
      checkServerIdentity: () => undefined,
    });
    t.equal((await lost).length, 0, 'no route: ended in good order');
    await until(3000, 'the flow is counted', () => worker.closed('head_rejected') === 1);
  },
);

tlsTest(
  'tls flow: an upstream with the wrong name is not spoken to',
  { secure: { names: ['other.test'] }, upstreamTls: client(), tls: server() },
  async (t, worker) => {
    await t.rejects(roundTrip(worker, Buffer.from('secret')));
    t.match(await lastLine(worker), {
      close: 'upstream_tls_failed',
      upstream_tls: { failure: 'verify_failed:name_mismatch' },
    });
  },
);

tlsTest(
  'tls flow: an expired upstream is not spoken to',
  { secure: { names: ['a.test'], days: -1 }, upstreamTls: client() },
  async (t, worker) => {
    const socket = connectTcp(worker.tcpPort, '127.0.0.1');
    socket.on('error', () => {});
    await within(3000, 'the end', new Promise((resolve) => socket.once('close', resolve)));
    t.match(await lastLine(worker), { upstream_tls: { failure: 'verify_failed:expired' } });
  },
);

tlsTest(
  'tls flow: a client that just stops is told from one that says so',
  { tls: server() },
  async (t, worker) => {
    const raw = connectTcp(worker.tcpPort, '127.0.0.1');
    const socket = connect({ socket: raw, servername: 'a.test', ca: authority() });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    socket.write('cut');
    await new Promise((resolve) => socket.once('data', resolve));
    raw.destroy();
    await until(3000, 'the flow ends', () => worker.count('flows_active') === 0);
    const truncated = 2;
    t.ok(
      worker.counters.tls.endingsOf('client', truncated) === 1 ||
        worker.closed('client_reset') === 1,
    );
  },
);

// The last of them waits for its turn longer than one by itself would.
const patient = { tls: server(), timeouts: { tlsHandshakeMs: 15_000 } };
tlsTest('tls flow: 200 at once', patient, async (t, worker) => {
  const sizes = Array.from({ length: 200 }, (_, index) => 1 + index * 331);
  const echoes = await Promise.all(
    sizes.map(async (size) => {
      const bytes = randomBytes(size);
      return sha(await roundTrip(worker, bytes)) === sha(bytes);
    }),
  );
  t.ok(echoes.every(Boolean));
  await until(5000, 'all are counted', () => worker.closed('done') === 200);
});

tlsTest(
  'tls flow: stopping in the middle of a handshake leaves nothing',
  { tls: server() },
  async (t, worker) => {
    const socket = connectTcp(worker.tcpPort, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(Buffer.from([22, 3, 1, 1]));
    await until(3000, 'the flow is there', () => worker.count('flows_active') === 1);
    await worker.stop();
    t.equal(worker.closed('stopped'), 1);
    socket.destroy();
  },
);
