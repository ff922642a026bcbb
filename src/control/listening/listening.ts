import { statSync, unlinkSync } from 'node:fs';
import { connect } from 'node:net';
import {
  type Address,
  type BindAddress,
  type ListenerConfig,
  parseListenAddress,
} from '../../config/index.js';
import {
  Errno,
  formatAddress,
  getOption,
  type Kernel,
  type ListenOptions,
  localAddress,
  openBound,
  openListener,
  orThrow,
  Sockaddr,
  type SocketAddress,
  SocketOption,
  Splice,
  SystemCallError,
  setListenOptions,
} from '../../splice/index.js';
import { type InheritedSocket, openFilesMax } from '../machine/index.js';
import { socketAddress } from '../socket-address.js';
import { type Claim, claimedAddress, isSharedWithOthers, rivalsOf } from './claim.js';
import { InheritedListeners } from './inherited-listeners.js';
import { listenOptions, setFileAccess } from './listener-socket.js';

/** One bound address of a listener: a socket for each worker. */
export interface BoundAddress {
  readonly listener: ListenerConfig;
  /** As asked for, with the port that was given: what others must not overlap. */
  readonly claimed: Address;
  /** As bound: with port 0 asked for, the port the kernel chose. */
  readonly address: SocketAddress;
  /** What the `listening` line says. */
  readonly text: string;
  /** One descriptor a worker, in the order of workers. */
  readonly fds: number[];
  /** The service manager bound it: all workers share its socket, and its file is not ours to remove. */
  readonly isInherited: boolean;
}

/** What is bound already, or may be used instead of binding. */
export interface Surroundings {
  readonly inherited: InheritedListeners;
  /** Addresses of this process that may overlap the new one, on the way from one to the other. */
  readonly claims: readonly Claim[];
}

export const nothingThere: Surroundings = { inherited: InheritedListeners.none, claims: [] };

/**
 * Binds one address of a listener, once for each worker. All sockets are made here, on the control
 * thread, before any worker runs: a failed bind is one clear error, and a worker that dies can be
 * replaced without losing what its socket has queued.
 *
 * @throws SystemCallError with the address, when it cannot be bound
 */
export async function bindAddress(
  kernel: Kernel,
  listener: ListenerConfig,
  address: BindAddress,
  workers: number,
  { inherited, claims } = nothingThere,
): Promise<BoundAddress> {
  const socket = inherited.take(address);
  if (socket !== undefined) {
    try {
      return adoptSocket(kernel, listener, socket, workers);
    } catch (error) {
      // For the next configuration, which may do better.
      inherited.giveBack(socket.address);
      throw error;
    }
  }
  if (address.family === 'inherited') {
    throw new Error(`cannot listen on ${address.text}: ${inherited.describe()}`);
  }
  const wanted = socketAddress(address);
  if (wanted.family === 'unix') {
    const setAccess = (path: string) => setFileAccess(path, listener.socket);
    const fds = await bindUnix(kernel, wanted, listener.backlog, workers, setAccess);
    const text = formatAddress(wanted);
    return { listener, claimed: address, address: wanted, text, fds, isInherited: false };
  }
  const bound = bindInet(kernel, address, listenOptions(listener, wanted), workers, claims);
  const text = formatAddress(bound.address);
  const claimed = claimedAddress(address, bound.address);
  return { listener, claimed, ...bound, text, isInherited: false };
}

/**
 * Binds an address of TCP and listens, so many times.
 *
 * @throws SystemCallError with the address, when it cannot be bound
 */
export function bindInet(
  kernel: Kernel,
  address: Address,
  options: ListenOptions,
  count: number,
  claims: readonly Claim[],
): { address: SocketAddress; fds: number[] } {
  const wanted = socketAddress(address);
  const ipv6Only = address.family === 'inet6' && !address.dualStack;
  const alone = { ...options, ipv6Only, reusePort: false };
  const shared = { ...options, ipv6Only, reusePort: true };
  const first = new Sockaddr(wanted);
  refuseStrangers(kernel, address, () => openBound(kernel, first, alone), claims);
  const fds: number[] = [];
  try {
    fds.push(openListener(kernel, first, shared));
    const bound = localAddress(kernel, fds[0]!);
    const rest = new Sockaddr(bound.family === wanted.family ? bound : wanted);
    while (fds.length < count) fds.push(openListener(kernel, rest, shared));
    return { address: bound, fds };
  } catch (error) {
    for (const fd of fds) kernel.close(fd);
    throw error;
  }
}

/**
 * SO_REUSEPORT would let a second headgate, or anybody of the same user, share the port without a word.
 * One bind without it says what is there; sockets that wait in TIME_WAIT do not count. Where our own
 * sockets are in the way of that, the kernel's table is asked.
 */
function refuseStrangers(
  kernel: Kernel,
  address: Address,
  bindAlone: () => number,
  claims: readonly Claim[],
): void {
  const rivals = rivalsOf(address, claims);
  if (rivals.some((rival) => rival.address.text === address.text)) {
    throw new Error(
      `cannot listen on ${address.text}: this proxy has it for something else until the reload is done; it takes two reloads`,
    );
  }
  if (rivals.length === 0) kernel.close(bindAlone());
  else if (isSharedWithOthers(address, rivals)) {
    throw new SystemCallError('bind', Errno.EADDRINUSE, address.text);
  }
}

/**
 * Binds a unix socket and listens. It has no SO_REUSEPORT: all but the first descriptor are duplicates.
 *
 * @param setAccess says who may connect to its file; not called for an abstract one, which has none
 * @throws SystemCallError with the address, or what `setAccess` throws; nothing is left then
 */
export async function bindUnix(
  kernel: Kernel,
  address: SocketAddress & { family: 'unix' },
  backlog: number,
  count: number,
  setAccess: (path: string) => void,
): Promise<number[]> {
  await removeStaleSocket(address.path);
  const sockaddr = new Sockaddr(address);
  const fd = openBound(kernel, sockaddr, { backlog, ipv6Only: false, reusePort: false });
  try {
    // Before it listens: nobody connects to a file that is still somebody else's, or open to others.
    if (!address.path.startsWith('@')) setAccess(address.path);
    orThrow(kernel.listen(fd, backlog), 'listen', sockaddr.toString());
    return [fd, ...duplicates(kernel, fd, count - 1, sockaddr.toString())];
  } catch (error) {
    kernel.close(fd);
    removeSocketFile(address);
    throw error;
  }
}

/**
 * The workers get duplicates of a socket that the service manager has bound: its file, address and
 * queue stay the manager's, also when this process has ended.
 */
function adoptSocket(
  kernel: Kernel,
  listener: ListenerConfig,
  { fd, name, address }: InheritedSocket & { address: SocketAddress },
  workers: number,
): BoundAddress {
  const { SOL_SOCKET, SO_ACCEPTCONN } = SocketOption;
  if (getOption(kernel, fd, SOL_SOCKET, SO_ACCEPTCONN) !== 1) {
    throw new Error(`cannot listen on fd:${name}: it is not a listening stream socket`);
  }
  const { domain } = new Sockaddr(address);
  if (address.family !== 'unix') {
    const refused = setListenOptions(kernel, fd, domain, listenOptions(listener, address));
    if (refused !== undefined) {
      throw new SystemCallError(`setsockopt ${refused.option}`, -refused.result, `fd:${name}`);
    }
  }
  const text = formatAddress(address);
  const parsed = parseListenAddress(text);
  if (!parsed.ok) throw new Error(`cannot listen on fd:${name}: ${text} is ${parsed.reason}`);
  const fds = duplicates(kernel, fd, workers, `fd:${name}`);
  return { listener, claimed: parsed.value, address, text, fds, isInherited: true };
}

/** @throws SystemCallError about `subject` when there is no room for one of them; then there are none */
function duplicates(kernel: Kernel, fd: number, count: number, subject: string): number[] {
  const fds: number[] = [];
  try {
    while (fds.length < count) {
      const duplicate = kernel.fcntl(fd, Splice.F_DUPFD_CLOEXEC, 0);
      fds.push(orThrow(duplicate, 'fcntl F_DUPFD_CLOEXEC', subject));
    }
    return fds;
  } catch (error) {
    for (const made of fds) kernel.close(made);
    throw error;
  }
}

/** A socket file that nobody answers at is left over from a run that was killed. */
async function removeStaleSocket(path: string): Promise<void> {
  if (path.startsWith('@')) return;
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || !stat.isSocket()) return;
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  if (!isAlive) unlinkSync(path);
}

/** Removes the file of a listener's unix socket, unless the service manager bound it. */
export function removeListenerFile({ address, isInherited }: BoundAddress): void {
  if (!isInherited) removeSocketFile(address);
}

/** Removes a unix listener's file, as its creator should. */
export function removeSocketFile(address: SocketAddress): void {
  if (address.family !== 'unix' || address.path.startsWith('@')) return;
  try {
    unlinkSync(address.path);
  } catch {
    // Somebody was quicker, or it is not ours any more.
  }
}

/** Why there is no start or no reload, most often an error of {@link bindAddress}, in one line for people. */
export function bindErrorText(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  // Of a thread that did not get as far as its loop, too; what comes from there is no SystemCallError any more.
  if (code === 'EMFILE') {
    return `out of file descriptors (${message}): the limit of open files is ${openFilesMax() ?? 'not known'}; raise it (ulimit -n, LimitNOFILE= of systemd) or have fewer workers`;
  }
  if (!(error instanceof SystemCallError)) return message;
  switch (error.code) {
    case 'EADDRINUSE':
      return `cannot listen on ${error.subject}: the address is already in use (EADDRINUSE)`;
    case 'EACCES':
      return `cannot listen on ${error.subject}: permission denied (EACCES): ports below 1024 need root at the start, CAP_NET_BIND_SERVICE (AmbientCapabilities= of systemd), or a socket that the service manager hands over`;
    case 'EADDRNOTAVAIL':
      return `cannot listen on ${error.subject}: no such address on this machine (EADDRNOTAVAIL)`;
    case 'EPERM':
      return `cannot listen on ${error.subject}: ${error.syscall} is not permitted (EPERM); socket.transparent needs CAP_NET_ADMIN`;
    default:
      return `cannot listen on ${error.subject}: ${error.message}`;
  }
}
