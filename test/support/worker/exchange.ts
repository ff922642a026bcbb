import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  createKernel,
  NativeMemory,
  type SocketAddress,
  SocketOption,
  takeSocketError,
} from '#src/splice/index.js';
import { payload } from '../random.js';

/** What an exchange is like; the client's first bytes say it to the origin. */
export const scenarios = ['bulk', 'small', 'brief'] as const;
/** `bulk`: 3 MiB each way at once. `small`: questions and answers. `brief`: 300 kB each way. */
export type Scenario = (typeof scenarios)[number];

const ROUNDS = 12;
const MESSAGE_BYTES = 64;
const bulkBytes = { bulk: 3 * 1024 * 1024, brief: 300_000 };

/** All that each side says, by scenario. */
const said: Readonly<Record<Scenario, { client: Buffer; origin: Buffer }>> = {
  bulk: script(bulkBytes.bulk),
  brief: script(bulkBytes.brief),
  small: script(ROUNDS * MESSAGE_BYTES),
};

function script(byteLength: number): { client: Buffer; origin: Buffer } {
  return { client: payload(1, byteLength), origin: payload(2, byteLength) };
}

/** The client begins with the scenario and the number of the exchange. */
const HEADER_BYTES = 4;

function header(scenario: Scenario, id: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt8(scenarios.indexOf(scenario));
  bytes.writeUIntBE(id, 1, 3);
  return bytes;
}

/** How one side of an exchange came out. */
export interface Outcome {
  /** Number of the exchange; 0 at an origin that did not hear of it. */
  readonly id: number;
  /** `end`: a FIN. `error`: a reset or the like. `timeout`: neither, in time. */
  readonly how: 'end' | 'error' | 'timeout';
  readonly receivedBytes: number;
  /** Every byte, and nothing else. */
  readonly isWhole: boolean;
  /** What arrived is the beginning of what was sent. */
  readonly isPrefix: boolean;
}

const kernel = createKernel();
const TCP_CLOSE = 7;
const info = new NativeMemory(8);
const infoLength = new NativeMemory(4);

/** `tcpi_state`, the first byte of TCP_INFO. */
function tcpState(fd: number): number {
  infoLength.bytes.writeInt32LE(info.byteLength);
  const { IPPROTO_TCP, TCP_INFO } = SocketOption;
  kernel.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.address, infoLength.address);
  return info.bytes[0]!;
}

/** One socket that compares what it gets with what it should get, as it comes. */
class Reader {
  id = 0;
  receivedBytes = 0;
  isPrefix = true;
  isEnded = false;

  constructor(
    private readonly socket: Socket,
    public expected: Buffer,
  ) {}

  /**
   * Node says `end`. It also does where a reset follows bytes closely (uv__stream_io takes POLLHUP
   * for the end then), so the socket is asked. An error that nobody has taken is a reset; so is a
   * closed connection that still had something to say: a write has taken the error.
   */
  end(): void {
    const { fd } = (this.socket as unknown as { _handle: { fd: number } })._handle;
    const isClosed = tcpState(fd) === TCP_CLOSE && !this.socket.writableFinished;
    if (takeSocketError(kernel, fd) === 0 && !isClosed) this.isEnded = true;
  }

  take(chunk: Buffer): void {
    const part = this.expected.subarray(this.receivedBytes, this.receivedBytes + chunk.length);
    if (!part.equals(chunk)) this.isPrefix = false;
    this.receivedBytes += chunk.length;
  }

  outcome(how: Outcome['how']): Outcome {
    const { id, receivedBytes, isPrefix, isEnded } = this;
    const isWhole = isPrefix && receivedBytes === this.expected.length;
    if (how === 'timeout') return { id, how, receivedBytes, isWhole, isPrefix };
    return { id, how: isEnded ? 'end' : 'error', receivedBytes, isWhole, isPrefix };
  }
}

/** The upstream of all exchanges, and what came to it. */
export class ExchangeOrigin {
  /** Connections that are over, since the last look. */
  outcomes: Outcome[] = [];
  /** Connections that are not. */
  open = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<ExchangeOrigin> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const origin = new ExchangeOrigin(server);
    server.on('connection', (socket) => origin.serve(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return origin;
  }

  get address(): SocketAddress {
    const { port } = this.server.address() as AddressInfo;
    return { family: 'inet', host: '127.0.0.1', port };
  }

  async close(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
  }

  private serve(socket: Socket): void {
    this.open++;
    let scenario: Scenario | undefined;
    const reader = new Reader(socket, Buffer.alloc(0));
    let head = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      if (scenario === undefined) {
        head = Buffer.concat([head, chunk]);
        if (head.length < HEADER_BYTES) return;
        chunk = head.subarray(HEADER_BYTES);
        scenario = scenarios[head[0]!] ?? 'small';
        reader.id = head.readUIntBE(1, 3);
        reader.expected = said[scenario].client;
        if (scenario !== 'small') socket.end(said[scenario].origin);
      }
      const answered = Math.floor(reader.receivedBytes / MESSAGE_BYTES);
      reader.take(chunk);
      if (scenario !== 'small') return;
      // One answer to each whole question.
      const asked = Math.floor(reader.receivedBytes / MESSAGE_BYTES);
      const answers = said.small.origin.subarray(answered * MESSAGE_BYTES, asked * MESSAGE_BYTES);
      if (answers.length > 0) socket.write(answers);
    });
    socket.on('end', () => {
      reader.end();
      socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', (hadError) => {
      this.open--;
      this.outcomes.push(reader.outcome(hadError ? 'error' : 'end'));
    });
  }
}

/** The client's side of one exchange. @param id a number of its own, from 1 to 2²⁴ − 1 */
export async function exchange(
  id: number,
  address: SocketAddress,
  scenario: Scenario,
  timeoutMs: number,
): Promise<Outcome> {
  if (address.family === 'unix') throw new Error('TCP only');
  const socket = connect({ host: address.host, port: address.port, allowHalfOpen: true });
  socket.setNoDelay(true);
  const { client, origin } = said[scenario];
  const reader = new Reader(socket, origin);
  reader.id = id;
  socket.write(header(scenario, id));
  if (scenario === 'small') socket.write(client.subarray(0, MESSAGE_BYTES));
  else socket.end(client);
  socket.on('data', (chunk: Buffer) => {
    const answered = Math.floor(reader.receivedBytes / MESSAGE_BYTES);
    reader.take(chunk);
    if (scenario !== 'small') return;
    const now = Math.floor(reader.receivedBytes / MESSAGE_BYTES);
    if (now === answered) return;
    if (now === ROUNDS) socket.end();
    else socket.write(client.subarray(now * MESSAGE_BYTES, (now + 1) * MESSAGE_BYTES));
  });
  return await new Promise((resolve) => {
    let hasTimedOut = false;
    const timer = setTimeout(() => {
      hasTimedOut = true;
      socket.destroy();
    }, timeoutMs);
    socket.on('end', () => {
      reader.end();
      socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', (hadError) => {
      clearTimeout(timer);
      resolve(reader.outcome(hasTimedOut ? 'timeout' : hadError ? 'error' : 'end'));
    });
  });
}
