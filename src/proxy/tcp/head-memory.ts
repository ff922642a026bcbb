import { type Kernel, Misc, NativeMemory } from '../../splice/index.js';
import { HELLO_STREAM_BYTES_MAX } from './handshake-message.js';
import { PROXY_HEADER_BYTES_MAX } from './proxy-protocol.js';

/**
 * The memory in which one worker looks at heads; nothing stays in it between two calls.
 *
 * It holds the longest head, and so does every receive buffer: the kernel announces a window of half
 * of tcp_rmem's default (64 of 128 KiB, tcp(7)) before anything is read, and packs small segments
 * together before it turns any away. So a client whose head was found partial is able to send the
 * rest, although nothing has been taken out. (A unix socket charges its sender for every message: one
 * that writes kilobytes byte by byte is stopped after some hundred, and meets the head's timeout.)
 */
export class HeadMemory {
  private readonly native: NativeMemory;
  private readonly count = new NativeMemory(4);
  private readonly countView = new Int32Array(this.count.bytes.buffer, 0, 1);

  /** @param proxyHeaderBytesMax the longest PROXY v2 header that is read, at least 232 (unix addresses) */
  constructor(readonly proxyHeaderBytesMax: number = PROXY_HEADER_BYTES_MAX) {
    this.native = new NativeMemory(proxyHeaderBytesMax + HELLO_STREAM_BYTES_MAX);
  }

  get bytes(): Buffer {
    return this.native.bytes;
  }

  get address(): number {
    return this.native.address;
  }

  get byteLength(): number {
    return this.native.byteLength;
  }

  /** Bytes in the receive queue (SIOCINQ, tcp(7)); unknown counts as any number. */
  queuedBytes(kernel: Kernel, fd: number): number {
    const result = kernel.ioctl(fd, Misc.FIONREAD, this.count.address);
    return result < 0 ? Number.POSITIVE_INFINITY : this.countView[0]!;
  }
}
