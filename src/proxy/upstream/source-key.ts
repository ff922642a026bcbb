import {
  type Kernel,
  NativeMemory,
  Sockaddr,
  SockaddrIn,
  SockaddrIn6,
  SockaddrUn,
  Socket,
  type SocketAddress,
} from '../../splice/index.js';
import { hashBytes } from './policy/index.js';

const peer = new NativeMemory(SockaddrUn.size);
const peerLength = new NativeMemory(4);
/** `::ffff:0:0/96` (RFC 4291 §2.5.5.2): an IPv4 client of a dual-stack socket. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
/** Clients without an address, so far. */
let namelessClients = 0;

/**
 * What connections of one client share: a hash of its address, without the port. Clients of a unix
 * socket have none; each of them is a client of its own.
 *
 * @param fd a connected socket
 */
export function sourceKey(kernel: Kernel, fd: number): number {
  peerLength.bytes.writeInt32LE(SockaddrUn.size, 0);
  if (kernel.getpeername(fd, peer.address, peerLength.address) < 0) return namelessClients++;
  return keyOf(peer.bytes);
}

/** The same of an address that somebody else has told: a PROXY header. */
export function sourceKeyOf(address: SocketAddress): number {
  return keyOf(new Sockaddr(address).memory.bytes);
}

function keyOf(bytes: Buffer): number {
  switch (bytes.readUInt16LE(0)) {
    case Socket.AF_INET:
      return hashBytes(bytes, SockaddrIn.address, SockaddrIn.address + 4);
    case Socket.AF_INET6: {
      const from = SockaddrIn6.address;
      const isMapped = bytes.compare(MAPPED, 0, MAPPED.length, from, from + MAPPED.length) === 0;
      return hashBytes(bytes, isMapped ? from + MAPPED.length : from, from + 16);
    }
    default:
      return namelessClients++;
  }
}
