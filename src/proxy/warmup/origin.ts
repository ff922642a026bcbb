import {
  type Kernel,
  localAddress,
  openListener,
  Sockaddr,
  Socket,
  type SocketAddress,
} from '../../splice/index.js';
import type { Message } from './message.js';
import { Peer } from './peer.js';

const anyPort = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 });

/** A listening socket on a port of the kernel's choice that only this machine reaches. @throws SystemCallError */
export function listenOnLoopback(kernel: Kernel): number {
  return openListener(kernel, anyPort, { backlog: 64, reusePort: false, ipv6Only: false });
}

/** The endpoint that the worker forwards to during the warm-up. It says what the scenario has it say. */
export class Origin {
  readonly address: SocketAddress;
  /** What it says whenever it is spoken to; nothing: it keeps silent, and stays whatever happens. */
  response: Message | undefined;
  /** How that ends which it answers; set with {@link response}. */
  requestEnd = '';
  /** It hangs up when it has answered. */
  hangsUp = false;
  /** Connections it has, in the order in which they came. */
  peers: Peer[] = [];
  private readonly fd: number;

  /** @throws SystemCallError when there is no loopback, or no descriptor */
  constructor(private readonly kernel: Kernel) {
    this.fd = listenOnLoopback(kernel);
    this.address = localAddress(kernel, this.fd);
  }

  /** Accepts, hears and answers whoever is there now. */
  work(): void {
    const flags = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;
    for (;;) {
      const fd = this.kernel.accept4(this.fd, 0, 0, flags);
      if (fd < 0) break;
      this.peers.push(new Peer(this.kernel, fd));
    }
    for (const peer of this.peers) this.serve(peer);
    this.peers = this.peers.filter(({ isClosed }) => !isClosed);
  }

  private serve(peer: Peer): void {
    peer.work();
    const { response, requestEnd } = this;
    if (response === undefined) return;
    if (!peer.tail.endsWith(requestEnd)) {
      if (peer.hasHeardAll) peer.leave();
      return;
    }
    peer.say(response);
    if (this.hangsUp) peer.finish();
  }

  /** Hangs up on everybody. @param isRude by resets */
  hangUp(isRude = false): void {
    for (const peer of this.peers) {
      if (isRude) peer.reset();
      else peer.leave();
    }
    this.peers = [];
  }

  close(): void {
    this.hangUp(true);
    this.kernel.close(this.fd);
  }
}
