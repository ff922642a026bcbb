// Clients of one file, many at once, each of which reads a little now and then, and compares what it reads.
import {
  createKernel,
  Errno,
  type Kernel,
  NativeMemory,
  orThrow,
  resetSocket,
  Sockaddr,
  Socket,
  SocketOption,
  setOption,
} from '#src/splice/index.js';

/**
 * Segments as on an Ethernet. Loopback's own are of 64 KiB, and the send buffer that Linux begins with, twice ten of them
 * with what they are kept in, is 2.6 MB a connection (tcp_sndbuf_expand, tcp_init_buffer_space): a thousand that do not read
 * fill net.ipv4.tcp_mem, and the kernel then ends connections.
 */
const SEGMENT_BYTES = 1460;
/** include/uapi/linux/tcp.h, asm-generic/socket.h */
const TCP_MAXSEG = 2;
const SO_RCVBUF = 8;
const RECEIVE_BUFFER_BYTES = 32 * 1024;
const HEAD_BYTES_MAX = 4096;

class SlowReader {
  /** The head so far; nothing once it is whole. */
  head: Buffer | undefined = Buffer.alloc(0);
  /** Bytes of the body that have come and were right. */
  received = 0;

  constructor(readonly fd: number) {}
}

export class SlowReaders {
  private readonly kernel: Kernel = createKernel();
  private readonly memory = new NativeMemory(64 * 1024);
  private readonly readers: SlowReader[] = [];

  /** @param body what every one of them has to be given */
  constructor(
    private readonly port: number,
    private readonly body: Buffer,
  ) {}

  get count(): number {
    return this.readers.length;
  }

  /** Bytes of bodies that have been read by all together. */
  get receivedBytes(): number {
    return this.readers.reduce((sum, { received }) => sum + received, 0);
  }

  /** Bytes of the one that has the fewest. */
  get fewestBytes(): number {
    return Math.min(...this.readers.map(({ received }) => received));
  }

  /** Connects another one, and asks. @throws SystemCallError */
  ask(request: string): void {
    const { kernel, memory } = this;
    const { SOL_SOCKET, IPPROTO_TCP } = SocketOption;
    const fd = orThrow(kernel.socket(Socket.AF_INET, Socket.SOCK_STREAM, 0), 'socket');
    this.readers.push(new SlowReader(fd));
    orThrow(setOption(kernel, fd, IPPROTO_TCP, TCP_MAXSEG, SEGMENT_BYTES), 'TCP_MAXSEG');
    orThrow(setOption(kernel, fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES), 'SO_RCVBUF');
    const to = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: this.port });
    orThrow(kernel.connect(fd, to.memory.address, to.byteLength), 'connect');
    const length = memory.bytes.write(request, 'latin1');
    orThrow(kernel.send(fd, memory.address, length, Socket.MSG_NOSIGNAL), 'send');
  }

  /**
   * Lets everyone read once, if there is something.
   *
   * @param mostBytes of each, at most 64 KiB
   * @throws Error at the first byte that is wrong, and where a connection has ended
   */
  readOnce(mostBytes: number): void {
    for (const reader of this.readers) this.readSome(reader, mostBytes);
  }

  /** Resets all of them. */
  close(): void {
    for (const { fd } of this.readers) resetSocket(this.kernel, fd);
    this.readers.length = 0;
  }

  private readSome(reader: SlowReader, mostBytes: number): void {
    const { memory } = this;
    const result = this.kernel.recv(reader.fd, memory.address, mostBytes, Socket.MSG_DONTWAIT);
    if (result === -Errno.EAGAIN) return;
    if (orThrow(result, 'recv') === 0) throw new Error(`the end behind ${reader.received} bytes`);
    let bytes = memory.bytes.subarray(0, result);
    if (reader.head !== undefined) {
      const start = Buffer.concat([reader.head, bytes]);
      const end = start.indexOf('\r\n\r\n');
      reader.head = end < 0 ? start : undefined;
      if (start.length > HEAD_BYTES_MAX && end < 0) throw new Error('no end of the head');
      if (end < 0) return;
      bytes = start.subarray(end + 4);
    }
    const from = reader.received;
    reader.received += bytes.length;
    if (this.body.compare(bytes, 0, bytes.length, from, reader.received) === 0) return;
    throw new Error(`wrong bytes between ${from} and ${reader.received}`);
  }
}
