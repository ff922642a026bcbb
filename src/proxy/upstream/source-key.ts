import {
  hostLength,
  hostOffset,
  type Kernel,
  peerSockaddr,
  Sockaddr,
  type SocketAddress,
} from '../../splice/index.js';
import { hashBytes } from './policy/index.js';

/** Clients without an address, so far. */
let namelessClients = 0;

/**
 * What connections of one client share: a hash of its address, without the port. Clients of a unix
 * socket have none; each of them is a client of its own.
 *
 * @param fd a connected socket
 */
export function sourceKey(kernel: Kernel, fd: number): number {
  const sockaddr = peerSockaddr(kernel, fd);
  return sockaddr === undefined ? namelessClients++ : keyOf(sockaddr);
}

/** The same of an address that somebody else has told: a PROXY header. */
export function sourceKeyOf(address: SocketAddress): number {
  return keyOf(new Sockaddr(address).memory.bytes);
}

function keyOf(sockaddr: Buffer): number {
  const offset = hostOffset(sockaddr);
  return offset < 0 ? namelessClients++ : hashBytes(sockaddr, offset, offset + hostLength(offset));
}
