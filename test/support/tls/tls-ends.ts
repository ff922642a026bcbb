// Two TLS transports in this thread that hear of their sockets by edges alone, as in a worker.
import { Epoll, EventPoll, NativeMemory, Outcome } from '#src/splice/index.js';
import type {
  ClientContext,
  ClientTlsSettings,
  ContextUse,
  OpenSsl,
  ServerContexts,
  ServerTlsSettings,
  UserlandTlsTransport,
} from '#src/tls/index.js';
import { pause, type SocketKit } from '../sockets/socket-kit.js';
import { clientContext, serverContexts, TlsPair, type TlsPairOptions } from './tls-pair.js';

const EVENTS = (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

const memory = new NativeMemory(1 << 20);

export interface TlsEndsOptions extends TlsPairOptions {
  /** Made before, and the caller's to release. */
  readonly contexts?: ServerContexts;
  readonly context?: ClientContext;
  readonly server?: Partial<ServerTlsSettings>;
  readonly client?: Partial<ClientTlsSettings>;
  readonly use?: ContextUse;
  /** Called while the two shake hands; there is something between them. */
  readonly carry?: () => void;
  /** The server's OpenSSL, where it is not the real one. */
  readonly openssl?: OpenSsl;
}

/** A server's and a client's end of one connection, after the handshake. */
export class TlsEnds {
  readonly server: UserlandTlsTransport;
  readonly client: UserlandTlsTransport;
  readonly pair: TlsPair;
  private readonly poll: EventPoll;

  constructor(kit: SocketKit, options: TlsEndsOptions = {}) {
    const contexts =
      options.contexts ?? serverContexts(options.server, options.use, options.openssl);
    const context = options.context ?? clientContext(options.client, options.use);
    this.pair = new TlsPair(kit, contexts, context, options);
    if (options.contexts === undefined) contexts.release();
    if (options.context === undefined) context.release();
    if (options.carry === undefined) this.pair.shake();
    for (let step = 0; options.carry !== undefined && step < 500; step++) {
      this.pair.step();
      options.carry();
    }
    const { server, client } = this.pair.takeOver();
    this.server = server;
    this.client = client;
    this.poll = new EventPoll(kit.kernel, 4);
    kit.own(this.poll.fd);
    this.poll.add(server.fd, EVENTS, 0);
    this.poll.add(client.fd, EVENTS, 0);
    // A client of TLS 1.3 finds session tickets first.
    for (const end of [server, client]) while (end.readable && this.read(end, 1).length > 0);
    this.look(5);
    for (const end of [server, client]) while (end.readable && this.read(end, 1).length > 0);
  }

  /** Delivers what epoll has to say. @returns true when it said something */
  look(timeoutMs = 0): boolean {
    const count = this.poll.wait(timeoutMs);
    for (let index = 0; index < count; index++) {
      const end = this.poll.fdAt(index) === this.server.fd ? this.server : this.client;
      end.notice(this.poll.eventsAt(index));
    }
    return count > 0;
  }

  /** One write. @returns what the transport answers */
  write(end: UserlandTlsTransport, bytes: Uint8Array): number {
    memory.bytes.set(bytes);
    return end.write(memory.address, bytes.length);
  }

  /** One read of what is there, `most` bytes at a time. */
  read(end: UserlandTlsTransport, most: number): Buffer {
    const result = end.read(memory.address, most);
    return Buffer.from(memory.bytes.subarray(0, Math.max(0, result)));
  }

  /** Reads for as long as the transport says that it is worth it. @returns bytes, and the last answer */
  drain(end: UserlandTlsTransport, most = 65536): { bytes: Buffer; last: number } {
    const chunks: Buffer[] = [];
    let last: number = Outcome.Blocked;
    while (end.readable) {
      last = end.read(memory.address, most);
      if (last <= 0) break;
      chunks.push(Buffer.from(memory.bytes.subarray(0, last)));
    }
    return { bytes: Buffer.concat(chunks), last };
  }

  /** Reads until the stream ends or breaks, or `expected` bytes have come, or nothing has for long. */
  readAll(
    end: UserlandTlsTransport,
    expected = Number.POSITIVE_INFINITY,
  ): { bytes: Buffer; last: number } {
    const chunks: Buffer[] = [];
    let length = 0;
    for (let quiet = 0; quiet < 1000 && length < expected; quiet++) {
      const { bytes, last } = this.drain(end);
      if (bytes.length > 0) quiet = 0;
      length += bytes.length;
      chunks.push(bytes);
      if (last === Outcome.Eof || last === Outcome.Failed) {
        return { bytes: Buffer.concat(chunks), last };
      }
      if (length < expected && !this.look(1)) pause(1);
    }
    return { bytes: Buffer.concat(chunks), last: Outcome.Blocked };
  }

  close(): void {
    this.server.close();
    this.client.close();
  }
}
