// Something between a client and a server, over TCP, that passes their bytes on and meddles with them when told.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Test } from 'tap';
import { within } from '../deadline.js';

export type Way = 'up' | 'down';

export class Meddler {
  /** Ways whose next bytes are damaged: one bit of the last one. */
  readonly spoiled = new Set<Way>();
  /** Ways that end by a FIN in front of the last byte of what comes next. */
  readonly severed = new Set<Way>();
  private readonly pairs: { readonly client: Socket; readonly server: Socket }[] = [];

  private constructor(
    private readonly listener: Server,
    private readonly isBytewise: boolean,
  ) {}

  /**
   * @param port where the server is
   * @param isBytewise what clients say arrives byte by byte, each in a segment of its own
   */
  static async before(t: Test, port: number, isBytewise = false): Promise<Meddler> {
    const listener = createServer({ allowHalfOpen: true, noDelay: true });
    const meddler = new Meddler(listener, isBytewise);
    listener.on('connection', (client) => {
      const server = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
      meddler.pairs.push({ client, server });
      void meddler.pass('up', client, server);
      void meddler.pass('down', server, client);
      // A break of one connection is a break of the other.
      client.on('error', () => server.resetAndDestroy());
      server.on('error', () => client.resetAndDestroy());
    });
    listener.listen(0, '127.0.0.1');
    await within(5_000, 'the meddler listens', once(listener, 'listening'));
    t.teardown(() => {
      listener.close();
      for (const { client, server } of meddler.pairs) {
        client.destroy();
        server.destroy();
      }
    });
    return meddler;
  }

  get port(): number {
    return (this.listener.address() as { port: number }).port;
  }

  /** Ends one way of the last connection by a FIN, whatever there is to come. */
  cut(way: Way): void {
    const { client, server } = this.pairs.at(-1)!;
    (way === 'up' ? server : client).end();
  }

  private async pass(way: Way, from: Socket, to: Socket): Promise<void> {
    try {
      for await (const chunk of from.iterator({ destroyOnReturn: false })) {
        const bytes = chunk as Buffer;
        if (this.spoiled.delete(way)) bytes[bytes.length - 1]! ^= 1;
        if (this.severed.delete(way)) {
          to.end(bytes.subarray(0, -1));
          return;
        }
        const step = this.isBytewise && way === 'up' ? 1 : bytes.length;
        for (let at = 0; at < bytes.length && to.writable; at += step) {
          await new Promise((resolve) => to.write(bytes.subarray(at, at + step), resolve));
        }
      }
      if (to.writable) to.end();
    } catch {
      // Heard of by `error`.
    }
  }
}
