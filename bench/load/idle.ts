// Quiet connections: many clients that said one byte, were answered, and now wait.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { loopback } from '../loopback.js';

const concurrencyMax = 64;
const answerTimeoutMs = 10_000;

/** An upstream inside this process: it echoes, so that a byte coming back proves both halves of a connection. */
export class Sink implements AsyncDisposable {
  readonly port: number;
  #server: Server;
  #accepted: Set<Socket>;

  private constructor(server: Server, accepted: Set<Socket>) {
    this.#server = server;
    this.#accepted = accepted;
    this.port = (server.address() as AddressInfo).port;
  }

  static async start(port: number): Promise<Sink> {
    const accepted = new Set<Socket>();
    const server = createServer((socket) => {
      accepted.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => accepted.delete(socket));
      socket.on('data', (bytes) => socket.write(bytes));
    });
    server.listen({ host: loopback, port, backlog: 4096 });
    await once(server, 'listening');
    return new Sink(server, accepted);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#accepted) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Connections held open until the end of an `await using` block. */
export class IdleConnections implements AsyncDisposable {
  #sockets: Socket[] = [];

  /** Opens `count` connections to `port`, at most 64 at a time; each has sent a byte and had it back when this returns. */
  static async open(port: number, count: number): Promise<IdleConnections> {
    const connections = new IdleConnections();
    let missing = count;
    const opener = async () => {
      while (missing-- > 0) connections.#sockets.push(await openQuiet(port));
    };
    try {
      await Promise.all(Array.from({ length: concurrencyMax }, opener));
    } catch (error) {
      await connections[Symbol.asyncDispose]();
      throw error;
    }
    return connections;
  }

  /** How many the proxy has closed meanwhile; anything but 0 spoils the measurement. */
  get lost(): number {
    return this.#sockets.filter((socket) => socket.readyState !== 'open').length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function openQuiet(port: number): Promise<Socket> {
  const socket = connect({ host: loopback, port, noDelay: true });
  const signal = AbortSignal.timeout(answerTimeoutMs);
  try {
    await once(socket, 'connect', { signal });
    socket.write('.');
    await once(socket, 'data', { signal });
  } catch (error) {
    socket.destroy();
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(
      `a connection was not answered: ${code === 'ABORT_ERR' ? `waited ${answerTimeoutMs} ms` : message}`,
    );
  }
  socket.on('error', () => socket.destroy());
  return socket;
}
