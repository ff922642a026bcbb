// Something between two sockets that decides which bytes arrive when.
import { NativeMemory, Socket, SocketOption } from '#src/splice/index.js';
import type { SocketKit } from './socket-kit.js';

const memory = new NativeMemory(65536);

/** Two connections end to end: what is sent at one far end arrives at the other when it is carried. */
export class Relay {
  /** The outer ends, for the code under test. */
  readonly ends: { readonly near: number; readonly far: { readonly fd: number } };
  private readonly inner: readonly [number, number];
  /** One bit of what is carried is changed. */
  spoil = false;
  private readonly ended = [false, false];

  constructor(private readonly kit: SocketKit) {
    const [one, other] = [kit.pair(), kit.pair()];
    const { IPPROTO_TCP, TCP_NODELAY } = SocketOption;
    for (const { far } of [one, other]) far.set(IPPROTO_TCP, TCP_NODELAY, 1);
    this.ends = { near: one.near, far: { fd: other.near } };
    this.inner = [one.far.fd, other.far.fd];
  }

  /** From the near end to the far one. @returns bytes carried */
  down(most = memory.byteLength): number {
    return this.carry(0, 1, most);
  }

  /** From the far end to the near one. @returns bytes carried */
  up(most = memory.byteLength): number {
    return this.carry(1, 0, most);
  }

  /** All that is there, both ways. */
  all(): void {
    while (this.up() > 0 || this.down() > 0);
  }

  /** Ends what goes up, whatever there is to come. */
  cutUp(): void {
    this.ended[1] = true;
    this.kit.kernel.shutdown(this.inner[0], Socket.SHUT_WR);
  }

  private carry(from: 0 | 1, to: 0 | 1, most: number): number {
    const { kernel } = this.kit;
    const length = kernel.recv(this.inner[from], memory.address, most, 0);
    if (length === 0 && !this.ended[from]) {
      this.ended[from] = true;
      kernel.shutdown(this.inner[to], Socket.SHUT_WR);
    }
    if (length > 0 && this.spoil) memory.bytes[length - 1]! ^= 1;
    if (length > 0) kernel.send(this.inner[to], memory.address, length, Socket.MSG_NOSIGNAL);
    return Math.max(0, length);
  }
}
