import { readFileSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import { CongestionControl, Errno, errnoName, type Kernel, Socket } from '../../splice/index.js';

/** Congestion controls that send at a pace which timers keep (`SK_PACING_NEEDED`, net/ipv4/tcp_bbr.c). */
const PACES = /^bbr/;

let local: { readonly name: string | undefined } | undefined;

/**
 * What TCP has on its way to a peer at a loopback address, unless a configuration says something. There is no queue
 * before a loopback interface and nobody else on it: where the system's congestion control paces what is sent, all that
 * comes of it there is a timer for each segment, which halves the rate. `reno`, which every kernel has and anybody may
 * use, sends at once.
 *
 * @returns `undefined` where the system's will do, or another one is not allowed
 */
export function localCongestionControl(): string | undefined {
  local ??= {
    name: PACES.test(tcpSetting('congestion_control')) && isAllowed('reno') ? 'reno' : undefined,
  };
  return local.name;
}

/**
 * @param wanted `congestion_control` of a configuration
 * @param isLocal the peers have loopback addresses
 * @returns `undefined` for the system's
 */
export function congestionControl(wanted: string, isLocal: boolean): string | undefined {
  if (wanted === 'auto') return isLocal ? localCongestionControl() : undefined;
  return wanted === 'system' ? undefined : wanted;
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

/** Those of a configuration that are neither `auto` nor `system`, each with its key. */
export function namedCongestionControls(config: Config): { key: string; name: string }[] {
  const { listeners, upstreams } = config;
  const of = (section: string, all: readonly { name: string; socket: SocketKeys }[]) =>
    all.map(({ name, socket }) => ({
      key: `${section}.${name}.socket.congestion_control`,
      name: socket.congestionControl,
    }));
  return [...of('listeners', listeners), ...of('upstreams', upstreams)].filter(
    ({ name }) => name !== 'auto' && name !== 'system',
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
