import { readFileSync } from 'node:fs';
import { type Config, isLoopback, isWildcard } from '../../config/index.js';
import {
  CongestionControl,
  Errno,
  errnoName,
  type Kernel,
  Socket,
  type SocketAddress,
} from '../../splice/index.js';

/** Congestion controls that send at a pace which timers keep (`SK_PACING_NEEDED`, net/ipv4/tcp_bbr.c). */
const PACES = /^bbr/;

let unpaced: { readonly name: string | undefined } | undefined;

/**
 * What TCP has on its way to a peer at a loopback address, unless a configuration says something. There is no queue
 * before a loopback interface and nobody else on it: where the system's congestion control paces what is sent, all that
 * comes of it there is a timer for each segment, which halves the rate. `reno`, which every kernel has and anybody may
 * use, sends at once.
 *
 * @returns `undefined` where the system's will do, or another one is not allowed
 */
function unpacedCongestionControl(): string | undefined {
  unpaced ??= {
    name: PACES.test(tcpSetting('congestion_control')) && isAllowed('reno') ? 'reno' : undefined,
  };
  return unpaced.name;
}

/**
 * What all connections of a socket have.
 *
 * @param wanted `congestion_control` of a configuration
 * @param address where it listens, or whom it connects to
 * @returns `undefined` for the system's
 */
export function congestionControl(wanted: string, address: SocketAddress): string | undefined {
  if (isName(wanted)) return wanted;
  const isLocal = address.family !== 'unix' && isLoopback(address);
  return wanted === 'auto' && isLocal ? unpacedCongestionControl() : undefined;
}

/** What those clients have that are at a loopback address, where others may come to the socket, too. Otherwise the same. */
export function localCongestionControl(wanted: string, address: SocketAddress): string | undefined {
  return wanted === 'auto' && isWildcard(address) ? unpacedCongestionControl() : undefined;
}

/** One of the kernel's, and not a way to choose. */
function isName(wanted: string): boolean {
  return wanted !== 'auto' && wanted !== 'system';
}

/** Whether anybody may use it, without CAP_NET_ADMIN (ip-sysctl.rst). */
export function isAllowed(name: string): boolean {
  return tcpSetting('allowed_congestion_control').split(/\s+/).includes(name);
}

/**
 * Makes sure that this process can have the congestion controls that a configuration names.
 *
 * @throws Error with the key, the reason and what there is
 */
export function checkCongestionControls(config: Config, kernel: Kernel): void {
  const refused = new Map<string, string | undefined>();
  for (const { key, name } of namedCongestionControls(config)) {
    if (!refused.has(name)) refused.set(name, refusal(kernel, name));
    const reason = refused.get(name);
    if (reason !== undefined) throw new Error(`${key} is "${name}": ${reason}`);
  }
}

/** Those that a configuration names, each with its key. */
export function namedCongestionControls(config: Config): { key: string; name: string }[] {
  const { listeners, upstreams } = config;
  const of = (section: string, all: readonly { name: string; socket: SocketKeys }[]) =>
    all.map(({ name, socket }) => ({
      key: `${section}.${name}.socket.congestion_control`,
      name: socket.congestionControl,
    }));
  return [...of('listeners', listeners), ...of('upstreams', upstreams)].filter(({ name }) =>
    isName(name),
  );
}

interface SocketKeys {
  readonly congestionControl: string;
}

function refusal(kernel: Kernel, name: string): string | undefined {
  const fd = kernel.socket(Socket.AF_INET, Socket.SOCK_STREAM | Socket.SOCK_CLOEXEC, 0);
  // Whoever has no descriptor left learns that elsewhere.
  if (fd < 0) return undefined;
  const result = new CongestionControl(name).set(kernel, fd);
  kernel.close(fd);
  switch (-result) {
    case 0:
      return undefined;
    case Errno.ENOENT:
      return `this kernel has no such congestion control (ENOENT), it has ${tcpSetting('available_congestion_control')}`;
    case Errno.EPERM:
      return `it needs CAP_NET_ADMIN (EPERM), or a place in net.ipv4.tcp_allowed_congestion_control, which is "${tcpSetting('allowed_congestion_control')}"`;
    default:
      return `setsockopt TCP_CONGESTION: ${errnoName(-result)}`;
  }
}

/** `net.ipv4.tcp_…` of this network namespace; empty where it cannot be read. */
function tcpSetting(name: string): string {
  try {
    return readFileSync(`/proc/sys/net/ipv4/tcp_${name}`, 'utf8').trim();
  } catch {
    return '';
  }
}
