// Clients that say several requests at once, through a worker of production, to an endpoint that closes its idle
// connections whenever it likes: no request fails, and every byte is compared, at both ends.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { until, within } from '#test/support/deadline.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { missingIoUring } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { payload, Random } from '#test/support/random.js';
import { DataWorker } from '#test/support/worker/data-worker.js';

const CLIENTS = 60;
const BATCHES = 15;
const seed = Random.seed();
const sea = payload(seed, 1024 * 1024);
const HEAD_END = '\r\n\r\n';
const CLOSE = '\r\nConnection: close';

/** The client asks for the end of its connection: no business of the endpoint's. */
function last(message: Buffer): Buffer {
  const at = message.indexOf(HEAD_END);
  return Buffer.concat([message.subarray(0, at), Buffer.from(CLOSE), message.subarray(at)]);
}

/** One request that may be repeated, and its response; both ends know them by their number. */
class Script {
  readonly request: Buffer;
  readonly response: Buffer;

  constructor(readonly number: number) {
    const random = new Random(seed + number);
    const piece = (): Buffer => {
      const length = random.between(1, random.pick([10, 300, 3000, 20_000]));
      const at = random.between(0, sea.length - length);
      return sea.subarray(at, at + length);
    };
    const method = random.pick(['GET', 'GET', 'PUT', 'HEAD']);
    const asked = method === 'PUT' ? piece().subarray(0, 2000) : Buffer.alloc(0);
    const length = method === 'PUT' ? `\r\nContent-Length: ${asked.length}` : '';
    const head = `${method} /${number} HTTP/1.1\r\nHost: x${length}${HEAD_END}`;
    this.request = Buffer.concat([Buffer.from(head), asked]);
    const answer = piece();
    const [first, rest] = random.oneIn(3)
      ? [
          `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked`,
          [`${answer.length.toString(16)}\r\n`, answer, '\r\n0\r\n\r\n'],
        ]
      : [`HTTP/1.1 200 OK\r\nContent-Length: ${answer.length}`, [answer]];
    const body = method === 'HEAD' ? [] : rest;
    this.response = random.oneIn(8)
      ? Buffer.from(`HTTP/1.1 204 No Content${HEAD_END}`)
      : Buffer.concat([first, HEAD_END, ...body].map((part) => Buffer.from(part)));
  }
}

/** The endpoint. */
class Origin {
  readonly wrong: string[] = [];
  /** Connections that it has closed. */
  closed = 0;
  private readonly sockets = new Set<Socket>();
  private readonly random = new Random(seed);
  readonly server = createServer({ noDelay: true }, (socket) => this.serve(socket));

  private serve(socket: Socket): void {
    const { random, sockets } = this;
    sockets.add(socket);
    let heard = Buffer.alloc(0);
    let requests = 0;
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (!heard.includes(HEAD_END)) return;
      const script = new Script(Number(heard.toString('latin1', 0, 40).split(/[ /]+/)[1]));
      const { request, response } = script;
      if (heard.length < request.length) return;
      if (!heard.equals(request)) this.wrong.push(`${script.number}: ${heard.subarray(0, 100)}`);
      heard = Buffer.alloc(0);
      const of = ++requests;
      const cut = random.oneIn(4) ? random.between(1, response.length - 1) : response.length;
      socket.write(response.subarray(0, cut));
      if (cut < response.length) setImmediate(() => socket.write(response.subarray(cut)));
      if (!random.oneIn(6)) return;
      setTimeout(
        () => {
          // Idle, as far as it knows: the next request may be on its way.
          if (of < requests || heard.length > 0) return;
          this.closed++;
          if (random.oneIn(2)) socket.end();
          else socket.resetAndDestroy();
        },
        random.between(1, 4),
      );
    });
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

/** One client, on as many connections as it takes. @returns what is wrong */
async function converse(client: number, port: number): Promise<string[]> {
  const random = new Random(seed - client);
  let number = client * BATCHES * 6;
  let socket: Socket | undefined;
  for (let batch = 0; batch < BATCHES; batch++) {
    const scripts = Array.from({ length: random.between(1, 6) }, () => new Script(number++));
    const requests = scripts.map(({ request }) => request);
    const responses = scripts.map(({ response }) => response);
    const isLast = batch === BATCHES - 1 || random.oneIn(8);
    if (isLast) {
      requests.push(last(requests.pop()!));
      responses.push(last(responses.pop()!));
    }
    socket ??= connect({ port, host: '127.0.0.1', noDelay: true });
    socket.write(Buffer.concat(requests));
    if (batch < BATCHES - 1 && random.oneIn(10)) {
      const gone = socket;
      setTimeout(() => gone.resetAndDestroy(), random.between(0, 3));
      gone.on('error', () => {});
      socket = undefined;
      continue;
    }
    const problem = await expect(socket, Buffer.concat(responses), isLast);
    if (problem !== undefined) return [`${scripts[0]!.number}: ${problem}`];
    if (isLast) socket = undefined;
  }
  return [];
}

/** @param isLast the end of the connection comes behind it. @returns what is wrong */
function expect(socket: Socket, expected: Buffer, isLast: boolean): Promise<string | undefined> {
  let bytes = 0;
  return new Promise((resolve) => {
    const settle = (problem?: string): void => {
      socket.removeAllListeners();
      socket.on('error', () => {});
      resolve(problem);
    };
    socket.on('error', (error) => settle(`${error}`));
    socket.on('end', () => settle(bytes === expected.length && isLast ? undefined : 'an end'));
    socket.on('data', (chunk: Buffer) => {
      const should = expected.subarray(bytes, bytes + chunk.length);
      bytes += chunk.length;
      if (!should.equals(chunk)) settle(`${chunk.subarray(0, 200)}`);
      else if (bytes === expected.length && !isLast) settle();
    });
  });
}

async function run(t: Test, ioUring: boolean): Promise<void> {
  const before = descriptors();
  const origin = new Origin();
  await new Promise<void>((resolve) => origin.server.listen(0, '127.0.0.1', 512, resolve));
  const { port } = origin.server.address() as AddressInfo;
  const worker = new DataWorker({
    endpoints: [{ family: 'inet', host: '127.0.0.1', port }],
    http: plainHttp,
    ioUring,
    timeouts: { connectMs: 10_000 },
  });
  await worker.ready;
  const clients = Array.from({ length: CLIENTS }, (_, client) => converse(client, worker.tcpPort));
  const wrong = (await within(30_000, 'every client is done', Promise.all(clients))).flat();
  t.same(wrong.slice(0, 5), [], `${wrong.length} of ${CLIENTS} clients`);
  t.same(origin.wrong.slice(0, 5), []);
  t.ok(origin.closed > CLIENTS, `${origin.closed} idle connections closed`);
  await until(5000, 'nothing is left', () => worker.count('flows_active') === 0);
  t.same([worker.count('exceptions'), worker.count('buffers_in_use')], [0, 0]);
  const hasBatches = ioUring && missingIoUring() === undefined;
  t.equal(worker.count('batches') > 0, hasBatches, `${worker.count('batched_calls')} calls`);
  t.equal(await worker.stop(), 0);
  origin.close();
  await until(3000, 'descriptors are given back', () => descriptors().socket === before.socket);
}

for (const ioUring of [true, false]) {
  const how = ioUring ? 'calls made together' : 'each call by itself';
  t.test(`pipelining: ${CLIENTS} clients, ${how} (SEED=${seed})`, { timeout: 60_000 }, (t) =>
    run(t, ioUring),
  );
}
