// One end of a TCP or unix connection under a test's full control: read when asked, closed as asked.
// A client and a connection accepted by an origin are the same thing, a Peer.
import type net from 'node:net';
import type { ByteStream } from '../bytes.js';
import { sleep, until } from '../deadline.js';
import { connectTo } from './address.js';
import { socketError } from './socket-calls.js';

/** How the other side ended its direction: in order, or not. */
export type Ending = 'fin' | 'reset';

/** A pause of `pauseMs` after every `everyBytes`: a slow reader or writer. */
export interface Pace {
  readonly everyBytes: number;
  readonly pauseMs: number;
}

const writeBytes = 64 * 1024;

export class Peer {
  readonly socket: net.Socket;
  #failure: NodeJS.ErrnoException | undefined;
  #ended = false;
  /**
   * Whether what Node called the end was an RST: libuv reports the end of the stream when it sees EPOLLHUP behind a
   * partial read, without asking for the error. The kernel still has it.
   */
  #endWasReset = false;
  #closed = false;
  #waiting: (() => void)[] = [];

  readonly #wake = () => {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  };

  constructor(socket: net.Socket) {
    this.socket = socket;
    const wake = this.#wake;
    socket.on('drain', wake);
    socket.on('end', () => {
      this.#ended = true;
      this.#endWasReset = socketError(socket) !== 0;
      wake();
    });
    socket.on('error', (error) => {
      this.#failure = error;
      wake();
    });
    socket.on('close', () => {
      this.#closed = true;
      wake();
    });
  }

  /**
   * Connects to `address`; half-open connections stay open. One that was reset before Node looked at it counts as
   * connected, too: reading from it fails.
   * @throws the socket's error, ECONNREFUSED for one.
   */
  static connect(address: string): Promise<Peer> {
    return new Promise((resolve, reject) => {
      const socket = connectTo(address);
      const peer = new Peer(socket);
      socket.once('connect', () => resolve(peer));
      socket.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') resolve(peer);
        else reject(error);
      });
    });
  }

  /** The error that ended the connection, if one did. */
  get failure(): NodeJS.ErrnoException | undefined {
    return this.#failure;
  }

  /** True once nothing of the connection is left on this side. */
  get closed(): boolean {
    return this.#closed;
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /**
   * The bytes that come next, however many; undefined at the other side's FIN.
   * @throws the socket's error (ECONNRESET), or Error when this side has closed.
   */
  async read(): Promise<Buffer | undefined> {
    // Not before the first read: a handler that pipes the socket needs it in flowing mode.
    if (this.socket.listenerCount('readable') === 0) this.socket.on('readable', this.#wake);
    for (;;) {
      const chunk = this.socket.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#ended) return undefined;
      if (this.#closed) throw new Error('read from a closed socket');
      await this.#change();
    }
  }

  /** Exactly `length` bytes; @throws Error when FIN comes before. */
  async receive(length: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for (let missing = length; missing > 0; ) {
      const chunk = await this.read();
      if (chunk === undefined) throw new Error(`FIN ${missing} bytes before the end of ${length}`);
      chunks.push(chunk.subarray(0, missing));
      if (chunk.length > missing) this.socket.unshift(chunk.subarray(missing));
      missing -= chunk.length;
    }
    return Buffer.concat(chunks);
  }

  /**
   * Takes bytes [from, from + length) of `stream` and compares every one.
   * @throws Error at the first wrong byte, and when FIN comes before the last one.
   */
  async receiveStream(stream: ByteStream, length: number, pace?: Pace, from = 0): Promise<void> {
    let sincePause = 0;
    for (let received = 0; received < length; ) {
      const chunk = await this.read();
      if (chunk === undefined)
        throw new Error(`truncated: FIN after ${received} of ${length} bytes`);
      const wanted = chunk.subarray(0, length - received);
      stream.verify(wanted, from + received);
      if (wanted.length < chunk.length) this.socket.unshift(chunk.subarray(wanted.length));
      received += wanted.length;
      sincePause += wanted.length;
      if (pace !== undefined && sincePause >= pace.everyBytes) {
        sincePause = 0;
        await sleep(pace.pauseMs);
      }
    }
  }

  /** How the other side ends, bytes that come before thrown away. */
  async ending(): Promise<Ending> {
    try {
      while ((await this.read()) !== undefined);
      return this.#endWasReset ? 'reset' : 'fin';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset';
      throw error;
    }
  }

  /** Asserts that the other side's FIN comes next, and nothing before. */
  async receiveEnd(): Promise<void> {
    const chunk = await this.read();
    if (chunk !== undefined) throw new Error(`${chunk.length} bytes where FIN was expected`);
    if (this.#endWasReset) throw new Error('RST where FIN was expected');
  }

  /** Writes `data`; resolves when Node would take more. @throws the socket's error. */
  async send(data: Buffer | string): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    this.socket.write(data);
    while (this.socket.writableNeedDrain) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#closed) throw new Error('write to a closed socket');
      await this.#change();
    }
  }

  /** Waits until what has left for the other side comes to a stop, as nobody reads it. @returns bytes that left */
  async heldUp(): Promise<number> {
    const written = () => this.socket.bytesWritten - this.socket.writableLength;
    let last = -1;
    await until(30_000, 'the writer is held up', async () => {
      const before = last;
      last = written();
      await sleep(200);
      return last > 0 && before === last;
    });
    return last;
  }

  /** Writes bytes [from, from + length) of `stream`, as fast as they are taken unless paced. */
  async sendStream(stream: ByteStream, length: number, pace?: Pace, from = 0): Promise<void> {
    const step = Math.min(writeBytes, pace?.everyBytes ?? writeBytes);
    for (let sent = 0; sent < length; sent += step) {
      await this.send(stream.slice(from + sent, Math.min(step, length - sent)));
      if (pace !== undefined) await sleep(pace.pauseMs);
    }
  }

  /** Sends FIN behind what was written; this side still reads. */
  end(): void {
    this.socket.end();
  }

  /** Sends RST (TCP), throwing away what was not sent. A unix socket closes: unread bytes make that a reset. */
  reset(): void {
    if (this.socket.remoteFamily === undefined) this.socket.destroy();
    else this.socket.resetAndDestroy();
  }

  /** Closes both directions in order. */
  close(): void {
    this.socket.destroy();
  }
}

/** `from` sends `length` bytes of a stream and then a FIN; `to` gets every one of them, and the FIN. */
export async function passStream(
  from: Peer,
  to: Peer,
  stream: ByteStream,
  length: number,
  pace?: Pace,
): Promise<void> {
  await Promise.all([
    from.sendStream(stream, length).then(() => from.end()),
    to.receiveStream(stream, length, pace).then(() => to.receiveEnd()),
  ]);
}
