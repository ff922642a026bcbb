import type { BindAddress } from '../../config/index.js';
import { formatAddress, type Kernel, type SocketAddress } from '../../splice/index.js';
import { type InheritedSocket, inheritedSockets } from '../machine/index.js';
import { socketAddress } from '../socket-address.js';

/** A descriptor that is a socket. */
type Inherited = InheritedSocket & { readonly address: SocketAddress };

/**
 * The listening sockets that the service manager handed over, each for one listener. They stay open
 * for as long as the process lives; listeners work with duplicates.
 */
export class InheritedListeners {
  static readonly none = new InheritedListeners([]);
  private static sockets: readonly InheritedSocket[] | undefined;
  private readonly left: Set<InheritedSocket>;

  constructor(private readonly all: readonly InheritedSocket[]) {
    this.left = new Set(all);
  }

  /**
   * Those of this process. The environment says it once: afterwards the variables are taken away, so
   * that no child believes them its own.
   *
   * @throws RangeError, SystemCallError as {@link inheritedSockets}
   */
  static ofProcess(kernel: Kernel): InheritedListeners {
    if (InheritedListeners.sockets === undefined) {
      const { env, pid } = process;
      InheritedListeners.sockets = [...inheritedSockets(env, pid, kernel).values()].flat();
      for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
    }
    return new InheritedListeners(InheritedListeners.sockets);
  }

  /** The socket a listener means by its name or by the very address, unless another has it already. */
  take(address: BindAddress): Inherited | undefined {
    for (const socket of this.left) {
      if (!isSocket(socket) || !isMeant(socket, address)) continue;
      this.left.delete(socket);
      return socket;
    }
    return undefined;
  }

  /** The listener that had it is gone: another one may take it. */
  giveBack(address: SocketAddress): void {
    const text = formatAddress(address);
    for (const socket of this.all) {
      if (isSocket(socket) && formatAddress(socket.address) === text) this.left.add(socket);
    }
  }

  /** Names of those nobody took. */
  unused(): string[] {
    return [...this.left].map(({ name }) => name);
  }

  /** What there is to choose from, for an error about a name that is not there. */
  describe(): string {
    if (this.all.length === 0) return 'the service manager has handed over no sockets';
    const names = [...this.left].map(({ name }) => `fd:${name}`);
    return names.length === 0
      ? 'every socket that the service manager has handed over is in use'
      : `no such socket was handed over, there is ${names.join(', ')}`;
  }
}

function isSocket(socket: InheritedSocket): socket is Inherited {
  return socket.address !== undefined;
}

function isMeant(socket: Inherited, address: BindAddress): boolean {
  return address.family === 'inherited'
    ? socket.name === address.name
    : formatAddress(socket.address) === formatAddress(socketAddress(address));
}
