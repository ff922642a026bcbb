// Requests that go to endpoints over TLS, through a whole worker: reuse, resumption, certificates that are wrong.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, Agent as HttpAgent, request as httpRequest } from 'node:http';
import {
  createServer as createHttpsServer,
  Agent as HttpsAgent,
  request as httpsRequest,
} from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { createKernel, PUMP_SLOTS, PumpSlot } from '#src/splice/index.js';
import { type ClientTlsSettings, canRenewKernelKeys, TlsVersion } from '#src/tls/index.js';
import { until, within } from '#test/support/deadline.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { freePort } from '#test/support/peers/address.js';
import { withoutLoader } from '#test/support/programs/program.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { isKernelExpected } from '#test/support/tls/tls-server.js';
import { DataWorker, type DataWorkerOptions } from '#test/support/worker/data-worker.js';

const timeout = { timeout: 30_000 };
const versions = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: 'auto',
} as const;
const tls = {
  ...versions,
  certificates: [certificate(['a.test', '127.0.0.1'])],
  alpn: ['http/1.1'],
  ticketKeys: [randomBytes(80)],
};
const upstreamTls: ClientTlsSettings = {
  ...versions,
  serverName: 'a.test',
  verify: true,
  ca: authority(),
  alpn: ['http/1.1'],
};

/** An HTTPS server that sends bodies back and counts who came. */
class Origin {
  connections = 0;
  resumed = 0;
  private constructor(
    readonly server: ReturnType<typeof createServer>,
    readonly port: number,
  ) {}

  /** @param certified a certificate; plain HTTP without one */
  static async start(certified?: {
    names: readonly string[];
    days?: number;
    maxVersion?: 'TLSv1.2' | 'TLSv1.3';
  }): Promise<Origin> {
    const server =
      certified === undefined ? createServer({ keepAliveTimeout: 60_000 }) : secure(certified);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      if (request.url === '/last') response.shouldKeepAlive = false;
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => response.end(Buffer.concat(chunks)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = new Origin(server, (server.address() as AddressInfo).port);
    server.on(certified === undefined ? 'connection' : 'secureConnection', (socket: TLSSocket) => {
      origin.connections++;
      if (certified !== undefined && socket.isSessionReused()) origin.resumed++;
    });
    return origin;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function secure({
  names,
  days,
  maxVersion = 'TLSv1.3',
}: {
  names: readonly string[];
  days?: number;
  maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}) {
  const { chain, key } = certificate(names, 'ec:P-256', days);
  const server = createHttpsServer({ cert: chain, key, maxVersion, keepAliveTimeout: 60_000 });
  server.on('tlsClientError', () => {});
  return server as unknown as ReturnType<typeof createServer>;
}

class Client {
  readonly agent: HttpAgent;

  constructor(
    private readonly worker: DataWorker,
    private readonly isSecure = true,
  ) {
    const options = { keepAlive: true, maxSockets: 1 };
    this.agent = isSecure
      ? new HttpsAgent({ ...options, ca: authority() })
      : new HttpAgent(options);
  }

  async post(body: Buffer, path = '/'): Promise<{ status: number; body: Buffer }> {
    const options = {
      host: '127.0.0.1',
      port: this.worker.tcpPort,
      agent: this.agent,
      method: 'POST',
      path,
      servername: 'a.test',
    };
    const request = this.isSecure ? httpsRequest(options) : httpRequest(options);
    const answer = once(request, 'response');
    request.end(body);
    const [response] = await within(10_000, 'an answer', answer);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return { status: response.statusCode!, body: Buffer.concat(chunks) };
  }
}

/** The access lines of requests so far. */
function lines(worker: DataWorker): Record<string, unknown>[] {
  return worker.lines.filter(({ msg }) => msg === 'request');
}

async function lineOf(worker: DataWorker, number: number): Promise<Record<string, unknown>> {
  return until(3000, 'an access line', () => lines(worker)[number - 1]);
}

async function withWorker(
  t: Test,
  port: number,
  options: Partial<DataWorkerOptions>,
  body: (worker: DataWorker) => Promise<void>,
): Promise<void> {
  const endpoints = [{ family: 'inet', host: '127.0.0.1', port }] as const;
  const settings = { endpoints, http: plainHttp, upstreamTls, logsAccess: true };
  const worker = new DataWorker({ ...settings, ...options });
  await worker.ready;
  await body(worker);
  await until(5000, 'every connection ends', () => worker.count('flows_active') === 0);
  await worker.stop();
  t.equal(worker.count('exceptions'), 0);
}

function upstreamTest(
  name: string,
  certified: Parameters<typeof Origin.start>[0],
  options: Partial<DataWorkerOptions>,
  body: (t: Test, worker: DataWorker, origin: Origin) => Promise<void>,
): void {
  t.test(name, timeout, async (t) => {
    const before = JSON.stringify(descriptors());
    const origin = await Origin.start(certified);
    await withWorker(t, origin.port, options, (worker) => body(t, worker, origin));
    await origin.close();
    const isAsBefore = () => JSON.stringify(descriptors()) === before;
    await until(3000, 'descriptors are as before', isAsBefore).catch(() => {});
    t.equal(JSON.stringify(descriptors()), before, 'no descriptor is left open');
  });
}

t.before(async () => {
  // Node's own machinery for threads opens its descriptors with the first one, OpenSSL with a handshake.
  const origin = await Origin.start({ names: ['a.test'] });
  await withWorker(t, origin.port, { tls }, async (worker) => {
    const client = new Client(worker);
    await client.post(Buffer.alloc(0));
    client.agent.destroy();
  });
  await origin.close();
});

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  upstreamTest(
    `tls upstream: requests over one connection by ${maxVersion}, byte for byte`,
    { names: ['a.test'], maxVersion },
    { tls },
    async (t, worker, origin) => {
      const client = new Client(worker);
      for (const length of [0, 1, 1000, 16_384, 100_000, 3_000_000, 1]) {
        const body = randomBytes(length);
        const answer = await client.post(body);
        t.ok(answer.body.equals(body), `${length} bytes`);
      }
      t.equal(origin.connections, 1, 'the connection was kept');
      t.match(await lineOf(worker, 7), {
        status: 200,
        tls: { version: '1.3', server_name: 'a.test' },
        upstream_tls: { version: maxVersion.slice(4), server_name: 'a.test', peer_verified: true },
      });
      client.agent.destroy();
    },
  );
}

const inUserland = { ...upstreamTls, kernel: 'off' } as const;
for (const [what, certified, options] of [
  ['from the client', undefined, { tls: { ...tls, kernel: 'off' }, upstreamTls: undefined }],
  ['to the endpoint', { names: ['a.test'] }, { upstreamTls: inUserland }],
] as const) {
  upstreamTest(
    `tls upstream: bytes that pass OpenSSL ${what} are counted apart`,
    certified,
    options,
    async (t, worker) => {
      const client = new Client(worker, 'tls' in options);
      const body = randomBytes(200_000);
      t.ok((await client.post(body)).body.equals(body));
      t.match(await lineOf(worker, 1), { path_up: 'userland_tls', path_down: 'userland_tls' });
      const { up, down, secureUp, secureDown } = worker.counters;
      for (const meter of [up, down]) t.same([...meter], Array(PUMP_SLOTS).fill(0));
      for (const meter of [secureUp, secureDown]) {
        // The first ones of many may have been in a pipe before OpenSSL got them.
        t.ok(meter[PumpSlot.CopyBytes]! + meter[PumpSlot.SpliceBytes]! > body.length);
      }
      client.agent.destroy();
    },
  );
}

upstreamTest(
  'tls upstream: the next connection resumes the session',
  { names: ['a.test'] },
  {},
  async (t, worker, origin) => {
    const client = new Client(worker, false);
    for (let round = 0; round < 3; round++) await client.post(Buffer.from('x'), '/last');
    client.agent.destroy();
    t.equal(origin.connections, 3);
    t.ok(origin.resumed >= 1);
    t.match(await lineOf(worker, 2), { upstream_tls: { resumed: true } });
  },
);

for (const [what, certified, failure] of [
  ['of another name', { names: ['other.test'] }, 'verify_failed:name_mismatch'],
  ['that has expired', { names: ['a.test'], days: -1 }, 'verify_failed:expired'],
  ['not there: plain HTTP', undefined, /./],
] as const) {
  upstreamTest(`tls upstream: a certificate ${what} is 502`, certified, {}, async (t, worker) => {
    const client = new Client(worker, false);
    const { status } = await client.post(Buffer.from('secret'));
    client.agent.destroy();
    t.equal(status, 502);
    t.match(await lineOf(worker, 1), { status: 502, upstream_tls: { failure } });
  });
}

t.test('tls upstream: a handshake that takes too long is 504', timeout, async (t) => {
  const silent = net.createServer((socket) => socket.resume().on('error', () => {}));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  await withWorker(t, port, { timeouts: { tlsHandshakeMs: 100 } }, async (worker) => {
    const client = new Client(worker, false);
    const { status } = await client.post(Buffer.from('secret'));
    client.agent.destroy();
    t.equal(status, 504);
    t.match(await lineOf(worker, 1), {
      status: 504,
      failure: 'upstream_tls_failed',
      upstream_tls: { failure: 'timeout' },
    });
  });
  await new Promise((resolve) => silent.close(resolve));
});

testWith(
  missingProgram(['openssl']),
  'tls upstream: an idle connection may change its keys',
  timeout,
  async (t) => {
    certificate(['a.test']);
    kit.issue('idle', { issuer: 'authority', names: ['DNS:a.test'] });
    const port = await freePort();
    const server = spawn(
      'env',
      withoutLoader([
        ...['openssl', 's_server', '-accept', `127.0.0.1:${port}`],
        ...['-cert', kit.path('idle.pem'), '-key', kit.path('idle.key')],
      ]).slice(1),
    );
    t.teardown(() => server.kill('SIGKILL'));
    let said = '';
    server.stdout.on('data', (chunk) => {
      said += chunk;
    });
    const count = (word: RegExp) => [...said.matchAll(word)].length;
    await until(3000, 'the server listens', () => /ACCEPT/.test(said));
    await withWorker(t, port, {}, async (worker) => {
      const client = new Client(worker, false);
      for (let round = 1; round <= 3; round++) {
        const answer = client.post(Buffer.from(`round ${round}`));
        await until(3000, 'the request', () => count(/round \d/g) === round);
        server.stdin.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        t.equal((await answer).body.toString(), 'ok');
        server.stdin.write('k\n');
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      client.agent.destroy();
      // A kernel that cannot follow ends the connection, and the next request has one of its own.
      const canFollow = !isKernelExpected || canRenewKernelKeys(createKernel());
      t.equal(count(/BEGIN SSL SESSION/g), canFollow ? 1 : 3, 'over one connection');
      await until(3000, 'the client is gone', () => worker.count('flows_active') === 0);
    });
  },
);
