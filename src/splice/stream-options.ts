import { Sockaddr } from './address.js';
import { Socket, SocketOption } from './constants.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';

const {
  SOL_SOCKET,
  SO_KEEPALIVE,
  IPPROTO_TCP,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_KEEPCNT,
  TCP_USER_TIMEOUT,
  TCP_CONGESTION,
  IPPROTO_IP,
  IP_TRANSPARENT,
  IP_BIND_ADDRESS_NO_PORT,
  IPPROTO_IPV6,
  IPV6_TRANSPARENT,
} = SocketOption;

/** Probes of an idle connection: `man 7 tcp`, TCP_KEEPIDLE and its like. */
export interface Keepalive {
  /** Silence before the first probe, seconds, 1 to 32,767. */
  readonly idleSeconds: number;
  /** Between probes, seconds, 1 to 32,767. */
  readonly intervalSeconds: number;
  /** Probes without an answer that end the connection, 1 to 127. */
  readonly count: number;
}

/** Options of a TCP connection, which accepted sockets inherit from their listener. */
export interface StreamOptions {
  readonly keepalive?: Keepalive | undefined;
  /** How long data that was sent may stay unacknowledged. */
  readonly userTimeoutMs?: number | undefined;
  /** How TCP decides what may be on its way, by name: `reno`, `cubic`, `bbr`; the system's unless given. */
  readonly congestionControl?: string | undefined;
}

/** How a connection is made, beyond where to. */
export interface ConnectOptions extends StreamOptions {
  /** The local address, for endpoints of its family; port 0 leaves the port to the kernel. */
  readonly source?: { readonly family: 'inet' | 'inet6'; readonly host: string } | undefined;
  /**
   * With a cookie from an earlier connection, connect(2) sends nothing: the SYN goes out with the
   * first data (TCP_FASTOPEN_CONNECT). Not for protocols in which the server speaks first.
   */
  readonly fastOpen?: boolean | undefined;
}

const scratch = new NativeMemory(4);
const scratchLength = new NativeMemory(4);

/** Sets an option whose value is an `int`. @returns 0, or a negative error number */
export function setOption(
  kernel: Kernel,
  fd: number,
  level: number,
  name: number,
  value: number,
): number {
  scratch.bytes.writeInt32LE(value, 0);
  return kernel.setsockopt(fd, level, name, scratch.address, 4);
}

/** An option whose value is an `int`, or a negative error number. */
export function getOption(kernel: Kernel, fd: number, level: number, name: number): number {
  scratchLength.bytes.writeInt32LE(4, 0);
  const result = kernel.getsockopt(fd, level, name, scratch.address, scratchLength.address);
  return result < 0 ? result : scratch.bytes.readInt32LE(0);
}

/** Bytes of a name at most, the NUL behind it included: `TCP_CA_NAME_MAX`, include/net/tcp.h. */
const CONGESTION_NAME_BYTES = 16;

/** A congestion control by name, ready to be given to socket after socket (tcp(7), TCP_CONGESTION). */
export class CongestionControl {
  private readonly memory = new NativeMemory(CONGESTION_NAME_BYTES);
  private readonly length: number;

  /** @throws RangeError for a name that no kernel has */
  constructor(readonly name: string) {
    if (!/^[\w-]{1,15}$/.test(name)) throw new RangeError(`congestion control ${name}`);
    this.length = this.memory.bytes.write(name, 'latin1');
  }

  /**
   * @param fd a TCP socket; what a listening one accepts inherits it
   * @returns 0, or a negative error number: ENOENT for one that this kernel does not have, EPERM for one that is not in
   *   `net.ipv4.tcp_allowed_congestion_control` without CAP_NET_ADMIN
   */
  set(kernel: Kernel, fd: number): number {
    return kernel.setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, this.memory.address, this.length);
  }
}

const congestionName = new NativeMemory(CONGESTION_NAME_BYTES);

/** The name of a TCP socket's congestion control, or `undefined` where it has none. */
export function congestionControlOf(kernel: Kernel, fd: number): string | undefined {
  const { bytes, address } = congestionName;
  scratchLength.bytes.writeInt32LE(CONGESTION_NAME_BYTES, 0);
  const length = scratchLength.address;
  if (kernel.getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, address, length) < 0) return undefined;
  return bytes.toString('latin1', 0, bytes.indexOf(0));
}

/** @returns 0, or the negative error number of the first option that was refused */
export function setStreamOptions(kernel: Kernel, fd: number, options: StreamOptions): number {
  const { keepalive, userTimeoutMs } = options;
  const tcp = (name: number, value: number) => setOption(kernel, fd, IPPROTO_TCP, name, value);
  let result = 0;
  if (keepalive !== undefined) {
    result ||= setOption(kernel, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    result ||= tcp(TCP_KEEPIDLE, keepalive.idleSeconds);
    result ||= tcp(TCP_KEEPINTVL, keepalive.intervalSeconds);
    result ||= tcp(TCP_KEEPCNT, keepalive.count);
  }
  if (userTimeoutMs !== undefined) result ||= tcp(TCP_USER_TIMEOUT, userTimeoutMs);
  return result;
}

/**
 * Lets a socket have addresses that are not this machine's (CAP_NET_ADMIN), or no longer.
 * @returns as {@link setOption}
 */
export function setTransparent(kernel: Kernel, fd: number, domain: number, value = true): number {
  return domain === Socket.AF_INET6
    ? setOption(kernel, fd, IPPROTO_IPV6, IPV6_TRANSPARENT, value ? 1 : 0)
    : setOption(kernel, fd, IPPROTO_IP, IP_TRANSPARENT, value ? 1 : 0);
}

/**
 * Binds a socket that is about to connect to a local address, and leaves the choice of the port to
 * connect(2), which may take one that is in use for another destination (`man 7 ip`).
 *
 * @returns 0, or a negative error number
 */
export function bindSource(kernel: Kernel, fd: number, source: Sockaddr): number {
  setOption(kernel, fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return kernel.bind(fd, source.memory.address, source.byteLength);
}

/** {@link ConnectOptions} made ready for every connection of an endpoint. */
export class ConnectPlan {
  private readonly source: Sockaddr | undefined;
  private readonly congestion: CongestionControl | undefined;

  constructor(readonly options: ConnectOptions) {
    const { congestionControl } = options;
    this.congestion = congestionControl ? new CongestionControl(congestionControl) : undefined;
    this.source = options.source && new Sockaddr({ ...options.source, port: 0 });
  }

  /** @returns 0, or a negative error number */
  prepare(kernel: Kernel, fd: number, domain: number): number {
    if (domain === Socket.AF_UNIX) return 0;
    // What is allowed may change under a process that runs: then a connection goes as the system's others do.
    this.congestion?.set(kernel, fd);
    let result = setStreamOptions(kernel, fd, this.options);
    if (this.options.fastOpen) {
      result ||= setOption(kernel, fd, IPPROTO_TCP, SocketOption.TCP_FASTOPEN_CONNECT, 1);
    }
    if (this.source?.domain === domain) result ||= bindSource(kernel, fd, this.source);
    return result;
  }
}

/**
 * Connects with the address of somebody else, a client (`man 7 ip`, IP_TRANSPARENT). The answers
 * come back only where routing sends them here.
 */
export class TransparentSource {
  private readonly source: Sockaddr;

  /** @param host numeric */
  constructor(family: 'inet' | 'inet6', host: string) {
    this.source = new Sockaddr({ family, host, port: 0 });
  }

  /** @returns 0, also for an endpoint of another family; or a negative error number */
  prepare(kernel: Kernel, fd: number, domain: number): number {
    if (domain !== this.source.domain) return 0;
    return setTransparent(kernel, fd, domain) || bindSource(kernel, fd, this.source);
  }
}
