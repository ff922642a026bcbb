import { decodeAddress, type Sockaddr, type SocketAddress } from './address.js';
import { Misc, Socket, SocketOption } from './constants.js';
import { Errno, orThrow, SystemCallError } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import {
  CongestionControl,
  type ConnectPlan,
  congestionControlOf,
  type StreamOptions,
  setOption,
  setStreamOptions,
  setTransparent,
  type TransparentSource,
} from './stream-options.js';
import { Linger, Pollfd, SockaddrUn, TcpInfo } from './structs.js';

const STREAM = Socket.SOCK_STREAM | Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;

const lingerZero = new NativeMemory(Linger.size);
lingerZero.bytes.writeInt32LE(1, Linger.onoff);

const pollfd = new NativeMemory(Pollfd.size);
const scratch = new NativeMemory(TcpInfo.size);
const scratchLength = new NativeMemory(4);

/** How a listening socket is made. */
export interface ListenOptions extends StreamOptions {
  /** Connections the kernel keeps for accept(2); capped by `/proc/sys/net/core/somaxconn`. */
  readonly backlog: number;
  /** Several sockets, one a worker, on the same address; the kernel spreads connections. */
  readonly reusePort: boolean;
  /** Of `[::]`: leave IPv4 to others. False takes IPv4 as well, whatever net.ipv6.bindv6only says. */
  readonly ipv6Only: boolean;
  /** TCP_NODELAY on accepted sockets; on unless told. */
  readonly nodelay?: boolean;
  /**
   * Clients speak first and are answered at once: what acknowledges their first bytes waits for the answer and goes with
   * it (TCP_QUICKACK off, inherited), which saves a segment. Where there is none to give yet: {@link acknowledge}.
   */
  readonly delaysAcks?: boolean;
  /** Connections that may wait with data of their SYN (RFC 7413); 0 for none of them. */
  readonly fastOpen?: number;
  /** Accept only once data is there, for so long, in seconds; 0 for at once. */
  readonly deferAcceptSeconds?: number;
  /** Take connections to addresses that are not this machine's (CAP_NET_ADMIN). */
  readonly transparent?: boolean;
}

/**
 * Opens a non-blocking listening socket. What accepted sockets inherit is set on it: a system call
 * a connection saved for each option.
 *
 * @returns the descriptor
 * @throws SystemCallError EADDRINUSE, EACCES, EADDRNOTAVAIL and the like, with the address
 */
export function openListener(kernel: Kernel, address: Sockaddr, options: ListenOptions): number {
  const fd = openBound(kernel, address, options);
  const result = kernel.listen(fd, options.backlog);
  if (result < 0) {
    kernel.close(fd);
    throw new SystemCallError('listen', -result, address.toString());
  }
  // Said again, because listen(2) begins with what a new socket acknowledges by (inet_csk_delack_init).
  if (options.delaysAcks && address.domain !== Socket.AF_UNIX) {
    setOption(kernel, fd, SocketOption.IPPROTO_TCP, SocketOption.TCP_QUICKACK, 0);
  }
  return fd;
}

/**
 * Acknowledges what has been read, now, and what comes next as soon as it comes, until something is sent (tcp(7),
 * TCP_QUICKACK). A peer with Nagle's algorithm holds its next small write back for that (RFC 896), and the
 * acknowledgement would wait 40 ms for an answer that cannot be given without it.
 *
 * @param fd a connected TCP socket; another one refuses, which does not matter
 */
export function acknowledge(kernel: Kernel, fd: number): void {
  setOption(kernel, fd, SocketOption.IPPROTO_TCP, SocketOption.TCP_QUICKACK, 1);
}

/**
 * Opens a socket and binds it, without listening yet.
 *
 * @returns the descriptor
 * @throws SystemCallError as {@link openListener}
 */
export function openBound(kernel: Kernel, address: Sockaddr, options: ListenOptions): number {
  const { SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT, IPPROTO_IPV6, IPV6_V6ONLY } = SocketOption;
  const fd = orThrow(kernel.socket(address.domain, STREAM, 0), 'socket', address.toString());
  const check = (result: number, syscall: string): void => {
    if (result >= 0) return;
    kernel.close(fd);
    throw new SystemCallError(syscall, -result, address.toString());
  };
  if (address.domain !== Socket.AF_UNIX) {
    check(setOption(kernel, fd, SOL_SOCKET, SO_REUSEADDR, 1), 'setsockopt SO_REUSEADDR');
    const share = options.reusePort ? 1 : 0;
    check(setOption(kernel, fd, SOL_SOCKET, SO_REUSEPORT, share), 'setsockopt SO_REUSEPORT');
    const refused = setListenOptions(kernel, fd, address.domain, options);
    if (refused !== undefined) check(refused.result, `setsockopt ${refused.option}`);
  }
  if (address.domain === Socket.AF_INET6) {
    const only = options.ipv6Only ? 1 : 0;
    check(setOption(kernel, fd, IPPROTO_IPV6, IPV6_V6ONLY, only), 'setsockopt IPV6_V6ONLY');
  }
  check(kernel.bind(fd, address.memory.address, address.byteLength), 'bind');
  return fd;
}

/**
 * Sets what a listening TCP socket has and what those it accepts inherit.
 *
 * @returns the option that was refused, with a negative error number
 */
export function setListenOptions(
  kernel: Kernel,
  fd: number,
  domain: number,
  options: ListenOptions,
): { option: string; result: number } | undefined {
  const { IPPROTO_TCP, TCP_NODELAY, TCP_QUICKACK, TCP_FASTOPEN, TCP_DEFER_ACCEPT } = SocketOption;
  const { nodelay = true, fastOpen = 0, deferAcceptSeconds = 0, transparent } = options;
  const tcp = (name: number, value: number) => setOption(kernel, fd, IPPROTO_TCP, name, value);
  tcp(TCP_NODELAY, nodelay ? 1 : 0);
  tcp(TCP_QUICKACK, options.delaysAcks ? 0 : 1);
  let result = setStreamOptions(kernel, fd, options);
  if (result < 0) return { option: 'SO_KEEPALIVE or TCP_USER_TIMEOUT', result };
  const { congestionControl } = options;
  if (congestionControl) result = new CongestionControl(congestionControl).set(kernel, fd);
  if (result < 0) return { option: 'TCP_CONGESTION', result };
  if (fastOpen > 0) result = tcp(TCP_FASTOPEN, fastOpen);
  if (result < 0) return { option: 'TCP_FASTOPEN', result };
  if (deferAcceptSeconds > 0) result = tcp(TCP_DEFER_ACCEPT, deferAcceptSeconds);
  if (result < 0) return { option: 'TCP_DEFER_ACCEPT', result };
  if (transparent) result = setTransparent(kernel, fd, domain);
  return result < 0 ? { option: 'IP_TRANSPARENT', result } : undefined;
}

/**
 * The same for a socket that has had other options: what is not asked for any more is taken away.
 *
 * @returns the option that was refused, with a negative error number
 */
export function changeListenOptions(
  kernel: Kernel,
  fd: number,
  domain: number,
  options: ListenOptions,
): { option: string; result: number } | undefined {
  const { SOL_SOCKET, SO_KEEPALIVE, IPPROTO_TCP } = SocketOption;
  const { TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_DEFER_ACCEPT } = SocketOption;
  const { keepalive, userTimeoutMs, fastOpen, deferAcceptSeconds, transparent } = options;
  const off = (level: number, name: number) => setOption(kernel, fd, level, name, 0);
  if (keepalive === undefined) off(SOL_SOCKET, SO_KEEPALIVE);
  if (userTimeoutMs === undefined) off(IPPROTO_TCP, TCP_USER_TIMEOUT);
  if (!fastOpen) off(IPPROTO_TCP, TCP_FASTOPEN);
  if (!deferAcceptSeconds) off(IPPROTO_TCP, TCP_DEFER_ACCEPT);
  if (!transparent) setTransparent(kernel, fd, domain, false);
  if (!options.congestionControl) resetCongestionControl(kernel, fd, domain);
  return setListenOptions(kernel, fd, domain, options);
}

/** Gives a socket what new ones have, where it has something else. */
function resetCongestionControl(kernel: Kernel, fd: number, domain: number): void {
  const fresh = kernel.socket(domain, STREAM, 0);
  if (fresh < 0) return;
  const name = congestionControlOf(kernel, fresh);
  kernel.close(fresh);
  if (name === undefined || name === congestionControlOf(kernel, fd)) return;
  new CongestionControl(name).set(kernel, fd);
}

/**
 * Begins a connection. TCP_NODELAY is not set: see {@link Nagle}.
 *
 * @param plan options of the connection, where there are any
 * @param disguise whose address to connect with, instead of this machine's
 * @param delaysAcks TCP: the peer hears that the connection is made, and later that its bytes have come, with the
 *   first bytes that are sent, or after 200 and 40 ms (TCP_QUICKACK, tcp(7)); {@link acknowledge} ends that. A peer that
 *   has to do with a new connection only when there are bytes is woken once, and a segment is saved
 * @returns a non-blocking descriptor, connected or connecting, or a negative error number
 */
export function openConnection(
  kernel: Kernel,
  address: Sockaddr,
  plan?: ConnectPlan,
  disguise?: TransparentSource,
  delaysAcks = false,
): number {
  const fd = kernel.socket(address.domain, STREAM, 0);
  if (fd < 0) return fd;
  if (delaysAcks) setOption(kernel, fd, SocketOption.IPPROTO_TCP, SocketOption.TCP_QUICKACK, 0);
  let result = plan?.prepare(kernel, fd, address.domain) ?? 0;
  result ||= disguise?.prepare(kernel, fd, address.domain) ?? 0;
  result ||= kernel.connect(fd, address.memory.address, address.byteLength);
  if (result >= 0 || result === -Errno.EINPROGRESS) return fd;
  kernel.close(fd);
  return result;
}

/** Indices are given from 1 up; no machine has come this far. */
const NO_INTERFACE = 0x7fffffff;

/**
 * Hides a listening TCP socket: SYNs do not find it any more, but another one at their address, or
 * nobody. Handshakes that have begun end here, because they were bound to the socket, and not to the
 * interface, when they did (`ireq->ir_iif`, net/ipv4/tcp_input.c). There is no way back without
 * CAP_NET_RAW.
 *
 * @returns 0, or a negative error number (SO_BINDTOIFINDEX is there from Linux 5.1)
 */
export function hideListener(kernel: Kernel, fd: number): number {
  const { SOL_SOCKET, SO_BINDTOIFINDEX } = SocketOption;
  return setOption(kernel, fd, SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE);
}

/** Closes a socket with RST: its peer learns that not all was well, and nothing lingers in TIME_WAIT. */
export function resetSocket(kernel: Kernel, fd: number): void {
  const { SOL_SOCKET, SO_LINGER } = SocketOption;
  kernel.setsockopt(fd, SOL_SOCKET, SO_LINGER, lingerZero.address, Linger.size);
  kernel.close(fd);
}

/**
 * True while a connection would take bytes: at least a third of its send buffer is free. If it is
 * not, an event is promised, whether or not a write was refused: poll(2) asks for it (tcp_poll).
 *
 * @param timeoutMs to wait for it, and for the connection to be made
 */
export function isWritable(kernel: Kernel, fd: number, timeoutMs = 0): boolean {
  return isReady(kernel, fd, Misc.POLLOUT, timeoutMs);
}

/** True when a read of a descriptor would not wait; of an epoll instance, when it has events (epoll(7), Q3). */
export function isReadable(kernel: Kernel, fd: number, timeoutMs = 0): boolean {
  return isReady(kernel, fd, Misc.POLLIN, timeoutMs);
}

function isReady(kernel: Kernel, fd: number, events: number, timeoutMs: number): boolean {
  pollfd.bytes.writeInt32LE(fd, Pollfd.fd);
  pollfd.bytes.writeUInt32LE(events, Pollfd.events);
  return kernel.poll(pollfd.address, 1, timeoutMs) > 0;
}

/** Bytes that were written and that the peer has not acknowledged, a FIN among them (SIOCOUTQ, tcp(7)). */
export function unacknowledgedBytes(kernel: Kernel, fd: number): number {
  const result = kernel.ioctl(fd, Misc.SIOCOUTQ, scratch.address);
  return result < 0 ? 0 : scratch.bytes.readInt32LE(0);
}

/** SO_ERROR: why a connection failed. Reading it clears it. @returns positive, or 0 for none */
export function takeSocketError(kernel: Kernel, fd: number): number {
  scratchLength.bytes.writeInt32LE(4, 0);
  const { SOL_SOCKET, SO_ERROR } = SocketOption;
  const { address } = scratch;
  const result = kernel.getsockopt(fd, SOL_SOCKET, SO_ERROR, address, scratchLength.address);
  return result < 0 ? -result : scratch.bytes.readInt32LE(0);
}

/** The address a socket is bound to: with port 0, the one the kernel chose. */
export function localAddress(kernel: Kernel, fd: number): SocketAddress {
  scratchLength.bytes.writeInt32LE(SockaddrUn.size, 0);
  const result = kernel.getsockname(fd, scratch.address, scratchLength.address);
  if (result < 0) throw new SystemCallError('getsockname', -result);
  return decodeAddress(scratch.bytes, scratchLength.bytes.readInt32LE(0));
}

/** The address a socket is connected to, or `undefined` when it is not, or not any more. */
export function peerAddress(kernel: Kernel, fd: number): SocketAddress | undefined {
  const sockaddr = peerSockaddr(kernel, fd);
  return sockaddr && decodeAddress(sockaddr, scratchLength.bytes.readInt32LE(0));
}

/** The same as the kernel writes it, in memory that the next call of this room uses again. */
export function peerSockaddr(kernel: Kernel, fd: number): Buffer | undefined {
  scratchLength.bytes.writeInt32LE(SockaddrUn.size, 0);
  const result = kernel.getpeername(fd, scratch.address, scratchLength.address);
  return result < 0 ? undefined : scratch.bytes;
}

/** What the kernel knows of a TCP connection's path. */
export interface ConnectionQuality {
  /** Smoothed round-trip time, microseconds. */
  readonly rttUs: number;
  /** Segments sent again, over the connection's life. */
  readonly retransmits: number;
}

/** TCP_INFO of a socket, or `undefined` where there is none: a unix socket. */
export function connectionQuality(kernel: Kernel, fd: number): ConnectionQuality | undefined {
  scratchLength.bytes.writeInt32LE(TcpInfo.size, 0);
  const { IPPROTO_TCP, TCP_INFO } = SocketOption;
  const { address } = scratch;
  if (kernel.getsockopt(fd, IPPROTO_TCP, TCP_INFO, address, scratchLength.address) < 0) return;
  return {
    rttUs: scratch.bytes.readUInt32LE(TcpInfo.rtt),
    retransmits: scratch.bytes.readUInt32LE(TcpInfo.totalRetrans),
  };
}
