import {
  Errno,
  type Kernel,
  Linger,
  NativeMemory,
  Socket,
  SocketOption,
} from '#src/splice/index.js';

const MSG_OOB = 1;
const scratch = new NativeMemory(256 * 1024);

/** Whoever closes a peer's socket in the end. */
interface Owner {
  readonly kernel: Kernel;
  close(fd: number): void;
}

/** The far end of a connection, spoken to without a library in between: every byte at once. */
export class RawPeer {
  /** Bytes that have arrived so far. */
  receivedBytes = 0;
  /** The other side said end of stream. */
  isEnded = false;
  /** What broke the connection, positive; 0 while it is well. */
  errno = 0;
  private chunks: Buffer[] = [];

  constructor(
    private readonly owner: Owner,
    readonly fd: number,
  ) {}

  /** What has arrived so far. */
  get received(): Buffer {
    if (this.chunks.length !== 1) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0]!;
  }

  /** Sends as much as the socket takes. @returns bytes sent */
  send(bytes: Uint8Array, flags = 0): number {
    let sent = 0;
    while (sent < bytes.byteLength) {
      const piece = bytes.subarray(sent, sent + scratch.byteLength);
      scratch.bytes.set(piece);
      const { kernel } = this.owner;
      const options = Socket.MSG_NOSIGNAL | flags;
      const result = kernel.send(this.fd, scratch.address, piece.byteLength, options);
      if (result < 0) {
        if (result !== -Errno.EAGAIN) this.errno = -result;
        break;
      }
      sent += result;
    }
    return sent;
  }

  /** Sends one urgent byte. */
  sendUrgent(byte: number): void {
    this.send(Buffer.from([byte]), MSG_OOB);
  }

  /** Takes what has arrived. @returns bytes taken now */
  receive(most = Number.POSITIVE_INFINITY): number {
    let taken = 0;
    while (taken < most) {
      const length = Math.min(scratch.byteLength, most - taken);
      const result = this.owner.kernel.recv(this.fd, scratch.address, length, 0);
      if (result > 0) {
        this.chunks.push(Buffer.from(scratch.bytes.subarray(0, result)));
        taken += result;
        continue;
      }
      if (result === 0) this.isEnded = true;
      else if (result !== -Errno.EAGAIN) this.errno = -result;
      break;
    }
    this.receivedBytes += taken;
    return taken;
  }

  /** Says end of stream. */
  end(): void {
    this.owner.kernel.shutdown(this.fd, Socket.SHUT_WR);
  }

  close(): void {
    this.owner.close(this.fd);
  }

  /** Closes with a reset. */
  reset(): void {
    scratch.bytes.writeInt32LE(1, Linger.onoff);
    scratch.bytes.writeInt32LE(0, Linger.linger);
    const { SOL_SOCKET, SO_LINGER } = SocketOption;
    const { kernel } = this.owner;
    kernel.setsockopt(this.fd, SOL_SOCKET, SO_LINGER, scratch.address, Linger.size);
    this.owner.close(this.fd);
  }

  /** Sets an option whose value is an int. */
  set(level: number, name: number, value: number): void {
    scratch.bytes.writeInt32LE(value, 0);
    this.owner.kernel.setsockopt(this.fd, level, name, scratch.address, 4);
  }
}
