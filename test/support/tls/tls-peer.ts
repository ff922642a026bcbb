// The far end of a connection that speaks TLS, taken forward by hand like RawPeer, in the same thread.
import { Errno, NativeMemory, Outcome } from '#src/splice/index.js';
import {
  type ClientContext,
  Handshake,
  HandshakeResult,
  type ServerContexts,
  type UserlandTlsTransport,
} from '#src/tls/index.js';
import type { RawPeer } from '../sockets/raw-peer.js';
import type { SocketKit } from '../sockets/socket-kit.js';
import { room } from './tls-pair.js';

const STEPS_MAX = 2000;
const memory = new NativeMemory(64 * 1024);

export class TlsPeer {
  /** Bytes that have arrived so far. */
  receivedBytes = 0;
  /** The other side said end of stream, by close_notify. */
  isEnded = false;
  /** What broke the connection, positive; 0 while it is well. A FIN without close_notify is a break, too. */
  errno = 0;
  private isBroken = false;
  private isClosed = false;
  private readonly chunks: Buffer[] = [];

  private constructor(private readonly transport: UserlandTlsTransport) {}

  /**
   * Shakes hands as a client, or as a server when the contexts are a server's.
   * @param turn lets the other side work
   */
  static secure(
    kit: SocketKit,
    peer: RawPeer,
    context: ClientContext | ServerContexts,
    turn: () => void,
  ): TlsPeer {
    const { fd } = peer;
    const isClient = 'sessionSlot' in context;
    const handshake = isClient
      ? Handshake.connect(room, context, fd, true, '127.0.0.1', '127.0.0.1')
      : Handshake.accept(room, context, fd, true);
    let result: HandshakeResult = HandshakeResult.Waiting;
    for (let step = 0; step < STEPS_MAX && result === HandshakeResult.Waiting; step++) {
      result = handshake.advance(0);
      turn();
    }
    if (result !== HandshakeResult.Done) throw new Error(`no handshake: ${handshake.detail}`);
    kit.disown(fd);
    return new TlsPeer(handshake.takeOver());
  }

  get received(): Buffer {
    return Buffer.concat(this.chunks);
  }

  /** Sends everything, in as few records as can be. @returns bytes sent */
  send(bytes: Uint8Array): number {
    let sent = 0;
    while (sent < bytes.length) {
      memory.bytes.set(bytes.subarray(sent, sent + memory.byteLength));
      const length = Math.min(memory.byteLength, bytes.length - sent);
      this.transport.writable = true;
      const result = this.transport.write(memory.address, length);
      if (result <= 0) {
        if (result === Outcome.Failed) this.errno = this.transport.errno;
        break;
      }
      sent += result;
    }
    return sent;
  }

  /** Takes what has arrived. @returns bytes taken now */
  receive(): number {
    let taken = 0;
    // Also when nothing could be sent any more: what came before that is there.
    while (!this.isEnded && !this.isBroken && !this.isClosed) {
      this.transport.readable = true;
      const result = this.transport.read(memory.address, memory.byteLength);
      if (result > 0) {
        this.chunks.push(Buffer.from(memory.bytes.subarray(0, result)));
        taken += result;
        continue;
      }
      if (result === Outcome.Failed) this.broke(this.transport.errno);
      else if (result === Outcome.Eof && this.transport.isTruncated) this.broke(Errno.ECONNRESET);
      else if (result === Outcome.Eof) this.isEnded = true;
      break;
    }
    this.receivedBytes += taken;
    return taken;
  }

  private broke(errno: number): void {
    this.isBroken = true;
    this.errno = errno;
  }

  /** Says end of stream: close_notify, and FIN. */
  end(): void {
    if (!this.isClosed) this.transport.shutdownWrite();
  }

  close(): void {
    if (!this.isClosed) this.transport.close();
    this.isClosed = true;
  }

  /** Closes with a reset. */
  reset(): void {
    if (!this.isClosed) this.transport.reset();
    this.isClosed = true;
  }
}
