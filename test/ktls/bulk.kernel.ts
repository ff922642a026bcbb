// Long transfers through a whole worker whose connections are the kernel's: each version with each cipher.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { PUMP_SLOTS, PumpSlot } from '#src/splice/index.js';
import { type ClientTlsSettings, type ServerTlsSettings, TlsVersion } from '#src/tls/index.js';
import { DataWorker } from '#test/support/data-worker.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { payload } from '#test/support/random.js';
import { authority, certificate, dial } from '#test/support/tls-kit.js';
import { tlsStat } from '#test/support/tls-machine.js';

const timeout = { timeout: 40_000 };
const MiB = 1 << 20;
const versions = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: 'require',
} as const;
const own = certificate(['a.test']);
const rsa = certificate(['a.test'], 'rsa:2048');
const tls: ServerTlsSettings = {
  ...versions,
  certificates: [own, rsa],
  alpn: [],
  ticketKeys: [randomBytes(80)],
};
const upstreamTls: ClientTlsSettings = {
  ...versions,
  serverName: 'a.test',
  verify: true,
  ca: authority(),
  alpn: [],
};

/** What to ask Node's client for. */
const suites = [
  ['TLSv1.3', 'TLS_AES_128_GCM_SHA256'],
  ['TLSv1.3', 'TLS_AES_256_GCM_SHA384'],
  ['TLSv1.3', 'TLS_CHACHA20_POLY1305_SHA256'],
  ['TLSv1.2', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLSv1.2', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLSv1.2', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
] as const;

/** Sends back what comes, end for end. */
async function startEcho(isSecure: boolean): Promise<{ server: Server; port: number }> {
  const options = { allowHalfOpen: true, highWaterMark: MiB };
  const server = isSecure
    ? createTlsServer({ ...options, cert: own.chain, key: own.key })
    : createServer(options);
  server.on(isSecure ? 'secureConnection' : 'connection', (socket: TLSSocket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}

/** Asserts that the kernel had all records of `clients` connections, and counts what was copied. */
function bulkTest(
  name: string,
  { isSecure = false, clients = 1 },
  body: (t: Test, worker: DataWorker) => Promise<number>,
): void {
  t.test(name, timeout, async (t) => {
    const before = tlsStat();
    const { server, port } = await startEcho(isSecure);
    const worker = new DataWorker({
      endpoints: [{ family: 'inet', host: '127.0.0.1', port }],
      ...{ tls, logsAccess: true },
      ...(isSecure && { upstreamTls }),
    });
    await worker.ready;
    const areAllOver = () => worker.count('flows_active') === 0;
    const length = await body(t, worker).finally(async () => {
      await until(5000, 'every flow ends', areAllOver).catch((error) => t.fail(error));
      await worker.stop();
      server.close();
    });
    const { up, down, secureUp, secureDown } = worker.counters;
    for (const [way, meter] of [
      ['up', up],
      ['down', down],
    ] as const) {
      const copied = meter[PumpSlot.CopyBytes]!;
      const spliced = meter[PumpSlot.SpliceBytes]!;
      t.comment(`${way}: ${copied} bytes copied, ${spliced} spliced`);
      t.equal(copied + spliced, length);
      // The beginning; and a little where the sender was so slow that it looked like small messages.
      t.ok(copied <= length / 16, `${copied} bytes were copied`);
    }
    for (const meter of [secureUp, secureDown]) {
      t.same([...meter], Array(PUMP_SLOTS).fill(0), 'nothing passes OpenSSL');
    }
    // One connection of its own the worker has asked whether keys can be changed.
    const connections = 1 + clients * (isSecure ? 2 : 1);
    const after = tlsStat();
    t.equal(after.TlsTxSw! - before.TlsTxSw!, connections);
    t.equal(after.TlsRxSw! - before.TlsRxSw!, connections);
    t.equal(after.TlsDecryptError, before.TlsDecryptError);
    t.equal(worker.closed('done'), clients);
  });
}

/** Sends `pieces` pieces and the end while it reads. @returns whether all of it came back */
async function echo(socket: TLSSocket, piece: Buffer, pieces: number): Promise<boolean> {
  const sent = createHash('sha256');
  const received = createHash('sha256');
  socket.on('data', (chunk: Buffer) => received.update(chunk));
  const ended = once(socket, 'end');
  for (let index = 0; index < pieces; index++) {
    piece.writeUInt32BE(index);
    sent.update(piece);
    if (!socket.write(Buffer.from(piece))) await once(socket, 'drain');
  }
  socket.end();
  await within(30_000, 'the end', ended);
  return sent.digest('hex') === received.digest('hex');
}

for (const [version, ciphers] of suites) {
  bulkTest(`kernel TLS bulk: 64 MiB each way at once, ${ciphers}`, {}, async (t, worker) => {
    const socket = await dial(worker.tcpPort, {
      maxVersion: version,
      minVersion: version,
      ciphers,
    });
    t.ok(await echo(socket, payload(1, MiB), 64));
    return 64 * MiB;
  });
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  bulkTest(
    `kernel TLS bulk: from TLS to TLS, four at once, ${version}`,
    { isSecure: true, clients: 4 },
    async (t, worker) => {
      const options = { maxVersion: version, minVersion: version };
      const sockets = await Promise.all([1, 2, 3, 4].map(() => dial(worker.tcpPort, options)));
      const echoes = sockets.map((socket, index) => echo(socket, payload(index, MiB), 4));
      for (const isWhole of await Promise.all(echoes)) t.ok(isWhole);
      return 16 * MiB;
    },
  );
}

bulkTest(
  'kernel TLS bulk: a slow reader holds up the sender',
  { isSecure: true },
  async (t, worker) => {
    const socket = await dial(worker.tcpPort);
    const whole = echo(socket, payload(1, MiB), 24);
    socket.pause();
    await sleep(500);
    const { down } = worker.counters;
    const held = down[PumpSlot.CopyBytes]! + down[PumpSlot.SpliceBytes]!;
    t.ok(held < 16 * MiB, `${held} bytes went on while nobody read`);
    t.ok(worker.count('pipe_capacity_bytes') <= 2 * MiB, 'pipes are no longer than they may be');
    for (let pauses = 0; pauses < 10; pauses++) {
      socket.resume();
      await sleep(10);
      socket.pause();
      await sleep(20);
    }
    socket.resume();
    t.ok(await whole);
    return 24 * MiB;
  },
);
