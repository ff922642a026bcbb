import { chmodSync, chownSync } from 'node:fs';
import type { ListenerConfig } from '../../config/index.js';
import {
  changeListenOptions,
  type Kernel,
  type ListenOptions,
  orThrow,
  Sockaddr,
  type SocketAddress,
  SystemCallError,
} from '../../splice/index.js';
import { congestionControl, groupId, userId } from '../machine/index.js';

/**
 * What a listener's configuration says of its sockets, as bind wants it.
 * @param address where they are, or are to be
 */
export function listenOptions(listener: ListenerConfig, address: SocketAddress): ListenOptions {
  const { backlog, socket, http, tls, acceptProxyFrom } = listener;
  const { nodelay, keepalive, userTimeoutMs, fastOpen, deferAcceptSeconds, transparent } = socket;
  const isAnswered = http !== null || tls !== null;
  return {
    backlog,
    reusePort: false,
    ipv6Only: false,
    nodelay,
    // Nothing is said to a PROXY header, and what follows it may wait until it is acknowledged.
    delaysAcks: isAnswered && acceptProxyFrom.length === 0,
    keepalive: keepalive ?? undefined,
    userTimeoutMs: userTimeoutMs ?? undefined,
    fastOpen,
    deferAcceptSeconds,
    transparent,
    congestionControl: congestionControl(socket.congestionControl, address),
  };
}

/** Who may connect to a socket file, before it listens. @throws when that is not allowed */
export function setFileAccess(
  path: string,
  { mode, owner, group }: ListenerConfig['socket'],
): void {
  if (owner !== null || group !== null) {
    const uid = owner === null ? -1 : userId(owner);
    chownSync(path, uid, group === null ? -1 : groupId(group));
  }
  if (mode !== null) chmodSync(path, mode);
}

/** A socket that is bound already, and its descriptors. */
export interface KeptSocket {
  readonly address: SocketAddress;
  readonly fds: readonly number[];
  readonly isInherited: boolean;
}

/**
 * Gives sockets that listen already what another configuration says of them, and takes away what it
 * does not say any more. Connections that were accepted before keep what they have.
 *
 * @throws SystemCallError, or one of a file, when the kernel does not allow it (any more)
 */
export function retune(kernel: Kernel, kept: KeptSocket, listener: ListenerConfig): void {
  const { address, fds, isInherited } = kept;
  const subject = new Sockaddr(address);
  if (address.family !== 'unix') {
    for (const fd of fds) {
      const refused = changeListenOptions(
        kernel,
        fd,
        subject.domain,
        listenOptions(listener, address),
      );
      if (refused === undefined) continue;
      throw new SystemCallError(`setsockopt ${refused.option}`, -refused.result, `${subject}`);
    }
  } else if (!isInherited && !address.path.startsWith('@')) {
    changeFileAccess(address.path, listener.socket);
  }
  // Listening again changes the length of the queue.
  for (const fd of fds) orThrow(kernel.listen(fd, listener.backlog), 'listen', `${subject}`);
}

/** What is not said is as if the file were made now. */
function changeFileAccess(path: string, { mode, owner, group }: ListenerConfig['socket']): void {
  const uid = owner === null ? process.geteuid!() : userId(owner);
  const gid = group === null ? process.getegid!() : groupId(group);
  chownSync(path, uid, gid);
  chmodSync(path, mode ?? 0o777 & ~process.umask());
}
