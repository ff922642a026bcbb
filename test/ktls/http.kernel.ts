// HTTP over kernel TLS through a whole worker: heads and framing are read in userland, bodies are spliced.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer as createHttp,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from 'node:http';
import { Agent, createServer as createHttps, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import t, { type Test } from 'tap';
import { PUMP_SLOTS, PumpSlot } from '#src/splice/index.js';
import { type ClientTlsSettings, type ServerTlsSettings, TlsVersion } from '#src/tls/index.js';
import { until, within } from '#test/support/deadline.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { tlsStat } from '#test/support/machine/tls-machine.js';
import { payload } from '#test/support/random.js';
import { authority, certificate, dial } from '#test/support/tls/tls-kit.js';
import { DataWorker } from '#test/support/worker/data-worker.js';

const timeout = { timeout: 30_000 };
/** A kernel in a process is slow: making 16 MiB to send takes seconds, in which the client's connection is idle. */
const patient = { connectMs: 10_000, tlsHandshakeMs: 10_000, headMs: 10_000, keepAliveMs: 60_000 };
const MiB = 1 << 20;
const versions = {
  minVersion: TlsVersion.Tls12,
  maxVersion: TlsVersion.Tls13,
  kernel: 'require',
} as const;
const own = certificate(['a.test']);
const tls: ServerTlsSettings = {
  ...versions,
  certificates: [own],
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

/** What comes with the head is copied, and so is the rest until the transfer has shown to be a long one. */
const COPIED_BYTES_MAX = 256 * 1024;

const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const bodyAt = (path: string): Buffer => payload(7, Number(path.split('/').at(-1)));

async function all(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/**
 * `/length/N` and `/chunked/N/BYTES` send so many bytes, the latter in chunks of BYTES; `/upload` says
 * what it got.
 */
const serve: RequestListener = (request, response) => {
  const [, how, size, chunkBytes] = request.url!.split('/');
  if (how === 'upload') {
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    request.on('end', () => response.end(`${bytes} ${hash.digest('hex')}`));
    return;
  }
  const body = bodyAt(`/${size}`);
  if (how === 'length') {
    response.setHeader('content-length', body.length);
    response.end(body);
    return;
  }
  for (let at = 0; at < body.length; at += Number(chunkBytes)) {
    response.write(body.subarray(at, at + Number(chunkBytes)));
  }
  response.end();
};

class Rig {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority() });
  connections = 0;

  private constructor(
    readonly worker: DataWorker,
    readonly origin: Server,
  ) {
    const event = origin.listenerCount('secureConnection') > 0 ? 'secureConnection' : 'connection';
    origin.on(event, () => this.connections++);
  }

  static async start(isSecure: boolean): Promise<Rig> {
    const { chain: cert, key } = own;
    const options = { keepAliveTimeout: 60_000 };
    const origin = isSecure
      ? (createHttps({ ...options, cert, key }, serve) as unknown as Server)
      : createHttp(options, serve);
    origin.on('upgrade', (_, socket: Socket, head: Buffer) => {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
      );
      socket.write(head);
      socket.pipe(socket);
      socket.on('error', () => {});
    });
    await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
    const { port } = origin.address() as AddressInfo;
    const worker = new DataWorker({
      ...{ tls, http: plainHttp, logsAccess: true },
      endpoints: [{ family: 'inet', host: '127.0.0.1', port }],
      ...(isSecure && { upstreamTls }),
      timeouts: patient,
    });
    await worker.ready;
    return new Rig(worker, origin);
  }

  /** @param body sent with its length, or in chunks where it is an array */
  async ask(path: string, body?: Buffer | readonly Buffer[], headers = {}): Promise<Buffer> {
    const request = httpsRequest({
      ...{ host: '127.0.0.1', port: this.worker.tcpPort, servername: 'a.test', agent: this.agent },
      ...{ path, method: body === undefined ? 'GET' : 'POST', headers },
    });
    const answer = once(request, 'response');
    if (Array.isArray(body)) {
      for (const chunk of body) request.write(chunk);
      request.end();
    } else request.end(body);
    const [response] = await within(15_000, 'an answer', answer);
    return within(15_000, 'a body', all(response));
  }

  /** The connection after an upgrade. */
  async upgrade(): Promise<Socket> {
    const request = httpsRequest({
      ...{ host: '127.0.0.1', port: this.worker.tcpPort, servername: 'a.test', agent: false },
      ...{ ca: authority(), headers: { connection: 'Upgrade', upgrade: 'echo' } },
    });
    const upgraded = once(request, 'upgrade');
    request.end();
    const [, socket] = await within(5000, 'the upgrade', upgraded);
    return socket;
  }

  get moved(): { up: Moved; down: Moved } {
    const { up, down } = this.worker.counters;
    return { up: movedBy(up), down: movedBy(down) };
  }

  async stop(t: Test): Promise<void> {
    const { worker, origin } = this;
    this.agent.destroy();
    const areAllOver = () => worker.count('flows_active') === 0;
    await until(5000, 'every connection ends', areAllOver).catch((error) => t.fail(error));
    await worker.stop();
    await new Promise((resolve) => {
      origin.close(resolve);
      origin.closeAllConnections();
    });
    t.equal(worker.count('exceptions'), 0);
    const { secureUp, secureDown } = worker.counters;
    for (const meter of [secureUp, secureDown]) {
      t.same([...meter], Array(PUMP_SLOTS).fill(0), 'nothing passes OpenSSL');
    }
  }
}

interface Moved {
  readonly copied: number;
  readonly spliced: number;
}

const movedBy = (meter: Float64Array): Moved => ({
  copied: meter[PumpSlot.CopyBytes]!,
  spliced: meter[PumpSlot.SpliceBytes]!,
});

/** What was moved since, one way. */
function since(t: Test, what: string, before: Moved, after: Moved): Moved {
  const copied = after.copied - before.copied;
  const spliced = after.spliced - before.spliced;
  t.comment(`${what}: ${copied} bytes copied, ${spliced} spliced`);
  return { copied, spliced };
}

/** A test whose client has one connection, with either kind of upstream. */
function httpTest(name: string, body: (t: Test, rig: Rig) => Promise<void>): void {
  for (const isSecure of [false, true]) {
    const where = isSecure ? 'a TLS upstream' : 'a plain upstream';
    t.test(`http over kernel TLS, ${where}: ${name}`, timeout, async (t) => {
      const before = JSON.stringify(descriptors());
      const statBefore = tlsStat();
      const rig = await Rig.start(isSecure);
      await body(t, rig).finally(() => rig.stop(t));
      const stat = tlsStat();
      // One of its own the worker has asked whether keys can be changed.
      const connections = 2 + (isSecure ? rig.connections : 0);
      t.equal(stat.TlsTxSw! - statBefore.TlsTxSw!, connections, 'each in the kernel, sending');
      t.equal(stat.TlsRxSw! - statBefore.TlsRxSw!, connections, 'and receiving');
      t.equal(stat.TlsDecryptError, statBefore.TlsDecryptError);
      const isAsBefore = () => JSON.stringify(descriptors()) === before;
      await until(3000, 'descriptors are as before', isAsBefore).catch(() => {});
      t.equal(JSON.stringify(descriptors()), before, 'no descriptor is left open');
    });
  }
}

t.before(async () => {
  // Node's own machinery for threads opens its descriptors with the first one, OpenSSL with a handshake.
  const rig = await Rig.start(true);
  await rig.ask('/length/1');
  await rig.stop(t);
});

httpTest('a kept connection, bodies of every size both ways', async (t, rig) => {
  for (const length of [0, 1, 100, 16_384, 16_385, 70_000, 300_000]) {
    const bytes = bodyAt(`/${length}`);
    t.ok((await rig.ask(`/length/${length}`)).equals(bytes), `${length} bytes`);
    t.ok((await rig.ask(`/chunked/${length}/1000`)).equals(bytes), 'in chunks');
    const told = `${length} ${sha(bytes)}`;
    t.equal((await rig.ask('/upload', bytes)).toString(), told, 'sent');
    const chunks = [bytes.subarray(0, length >> 1), bytes.subarray(length >> 1)];
    const answer = await rig.ask(
      '/upload',
      chunks.filter(({ length }) => length > 0),
    );
    t.equal(answer.toString(), told, 'sent in chunks');
  }
  t.equal(rig.connections, 1);
});

httpTest('heads cut into records, and several of them in one', async (t, rig) => {
  const socket = await dial(rig.worker.tcpPort, { ALPNProtocols: ['http/1.1'] });
  let said = '';
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  // A head follows the body before it without a break.
  const answers = () => [...said.matchAll(/HTTP\/1\.1 200 /g)].length;
  const get = 'GET /length/5 HTTP/1.1\r\nHost: a.test\r\n\r\n';
  // Each write is a record of its own.
  for (const byte of get) await new Promise((resolve) => socket.write(byte, resolve));
  await until(5000, 'the answer', () => answers() === 1);
  socket.write(get.repeat(3));
  await until(5000, 'three more answers', () => answers() === 4);
  const post = 'POST /upload HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\n';
  socket.write(`${post}Content-Length: 70000\r\n\r\n`);
  await until(5000, 'leave to go on', () => said.includes('HTTP/1.1 100 '));
  const body = bodyAt('/70000');
  socket.write(body);
  await until(5000, 'the answer', () => said.includes(`70000 ${sha(body)}`));
  t.equal(answers(), 5);
  socket.destroy();
});

httpTest('a long body down is spliced', async (t, rig) => {
  for (const length of [4 * MiB, 16 * MiB]) {
    const before = rig.moved.down;
    t.equal(sha(await rig.ask(`/length/${length}`)), sha(bodyAt(`/${length}`)));
    const moved = since(t, `${length} bytes down`, before, rig.moved.down);
    t.ok(moved.copied <= COPIED_BYTES_MAX, 'no more is copied of the longer one');
    // Of heads the bytes are counted that were sent on.
    const headBytes = moved.copied + moved.spliced - length;
    t.ok(headBytes > 0 && headBytes < 300, `${headBytes} bytes of head`);
    t.ok(moved.spliced >= length - COPIED_BYTES_MAX);
  }
});

httpTest('a long body up is spliced', async (t, rig) => {
  for (const length of [4 * MiB, 16 * MiB]) {
    const bytes = bodyAt(`/${length}`);
    const before = rig.moved.up;
    t.equal((await rig.ask('/upload', bytes)).toString(), `${length} ${sha(bytes)}`);
    const moved = since(t, `${length} bytes up`, before, rig.moved.up);
    t.ok(moved.copied <= COPIED_BYTES_MAX, 'no more is copied of the longer one');
    t.ok(moved.spliced >= length - COPIED_BYTES_MAX);
  }
});

httpTest('long chunks are spliced, or copied where they come slowly', async (t, rig) => {
  const length = 8 * MiB;
  const bytes = bodyAt(`/${length}`);
  const before = rig.moved;
  t.equal(sha(await rig.ask(`/chunked/${length}/${2 * MiB}`)), sha(bytes));
  const chunks = [0, 1, 2, 3].map((n) => bytes.subarray(n * 2 * MiB, (n + 1) * 2 * MiB));
  t.equal((await rig.ask('/upload', chunks)).toString(), `${length} ${sha(bytes)}`);
  const after = rig.moved;
  for (const way of ['up', 'down'] as const) {
    const what = `${length} bytes in 4 chunks ${way}`;
    const { copied, spliced } = since(t, what, before[way], after[way]);
    // How much of it is spliced is the sender's doing: one that is slow fills no buffer, and what does not is copied.
    t.ok(copied + spliced >= length, 'all of it by way of the kernel');
  }
});

httpTest('an upgraded connection is spliced both ways', async (t, rig) => {
  const socket = await rig.upgrade();
  const bytes = bodyAt(`/${4 * MiB}`);
  const before = rig.moved;
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.end(bytes);
  await within(10_000, 'the echo', once(socket, 'end'));
  t.equal(sha(Buffer.concat(chunks)), sha(bytes));
  const after = rig.moved;
  for (const way of ['up', 'down'] as const) {
    const moved = since(
      t,
      `${bytes.length} bytes through the tunnel ${way}`,
      before[way],
      after[way],
    );
    t.equal(moved.copied + moved.spliced, bytes.length);
    t.ok(moved.spliced >= bytes.length - COPIED_BYTES_MAX);
  }
});
