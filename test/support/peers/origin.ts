// Servers behind the proxy. A handler serves each connection; without one, the test accepts them itself.
import net from 'node:net';
import tls from 'node:tls';
import type { ByteStream } from '../bytes.js';
import { type Context, within } from '../deadline.js';
import { formatAddress, listenAt } from './address.js';
import { Peer } from './peer.js';

export type Handler = (peer: Peer) => Promise<void>;

export class Origin {
  readonly address: string;
  /** Connections now open. */
  readonly open = new Set<Peer>();
  /** Most connections that were open at the same time. */
  openMax = 0;
  accepted = 0;
  /** What handlers threw: `Rig.finish` fails on any. */
  readonly failures: Error[] = [];
  readonly #server: net.Server;
  readonly #queue: Peer[] = [];
  #waiting: ((peer: Peer) => void)[] = [];

  private constructor(server: net.Server, address: string, handler: Handler | undefined) {
    this.#server = server;
    this.address = formatAddress(server, address);
    const event = server instanceof tls.Server ? 'secureConnection' : 'connection';
    server.on(event, (socket: net.Socket) => this.#admit(new Peer(socket), handler));
    server.on('tlsClientError', () => {});
  }

  /**
   * Listens on `address`; connections wait for `accept()` unless there is a handler.
   * @param secure speaks TLS, by these options; a connection is there after its handshake
   */
  static listen(
    address = '127.0.0.1:0',
    handler?: Handler,
    secure?: tls.TlsOptions,
  ): Promise<Origin> {
    return new Promise((resolve, reject) => {
      const options = { allowHalfOpen: true, noDelay: true };
      const server = secure
        ? tls.createServer({ ...options, ...secure })
        : net.createServer(options);
      server.once('error', reject);
      server.once('listening', () => resolve(new Origin(server, address, handler)));
      listenAt(server, address);
    });
  }

  #admit(peer: Peer, handler: Handler | undefined): void {
    this.accepted++;
    this.open.add(peer);
    this.openMax = Math.max(this.openMax, this.open.size);
    peer.socket.once('close', () => this.open.delete(peer));
    if (handler !== undefined) {
      handler(peer).catch((error) => this.failures.push(error as Error));
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#queue.push(peer);
    else waiting(peer);
  }

  /** The next connection, in the order of arrival. */
  accept(context?: Context): Promise<Peer> {
    const peer = this.#queue.shift();
    if (peer !== undefined) return Promise.resolve(peer);
    const arrival = new Promise<Peer>((resolve) => this.#waiting.push(resolve));
    return within(10_000, 'the proxy connects to the origin', arrival, context);
  }

  /** Stops listening and closes what is still open. */
  close(): void {
    this.#server.close();
    for (const peer of this.open) peer.close();
  }
}

/** Sends back whatever comes, and FIN after FIN. */
export const echo: Handler = async ({ socket }) => {
  socket.pipe(socket);
};

/** Takes bytes [0, length) of `stream`, then FIN, then answers "ok" and FIN. */
export function sink(stream: ByteStream, length: number): Handler {
  return async (peer) => {
    await peer.receiveStream(stream, length);
    await peer.receiveEnd();
    await peer.send('ok');
    peer.end();
  };
}

/** Sends bytes [0, length) of `stream` without being asked, and FIN. */
export function source(stream: ByteStream, length: number): Handler {
  return async (peer) => {
    await peer.sendStream(stream, length);
    peer.end();
    await peer.ending();
  };
}
