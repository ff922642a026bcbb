import type { ConfigFile } from './schema/index.js';
import { parseDuration, parseHostAddress, valid } from './values/index.js';

/** Options of a listening socket, which accepted ones inherit. */
export function toListenerSocket(socket: ConfigFile['listeners'][string]['socket']) {
  const { nodelay, transparent, mode, owner, group } = socket;
  return {
    nodelay,
    ...toStream(socket),
    /** 0: off. */
    fastOpen: socket.fast_open ?? 0,
    deferAcceptSeconds: toSeconds(socket.defer_accept ?? '0s'),
    transparent,
    /** Permission bits of a socket file; null: as the umask has it. */
    mode: mode === undefined ? null : Number.parseInt(mode, 8),
    /** Names or numbers. */
    owner: owner ?? null,
    group: group ?? null,
  };
}

/** Options of the sockets that connect to an upstream's endpoints. */
export function toUpstreamSocket(socket: ConfigFile['upstreams'][string]['socket']) {
  const source = socket.source === undefined ? null : valid(parseHostAddress(socket.source));
  return { ...toStream(socket), source, fastOpen: socket.fast_open };
}

type StreamKeys = Pick<
  ConfigFile['upstreams'][string]['socket'],
  'keepalive' | 'user_timeout' | 'congestion_control'
>;

function toStream({ keepalive, user_timeout, congestion_control }: StreamKeys) {
  return {
    /** `auto`, `system`, or the kernel's name of one. */
    congestionControl: congestion_control,
    keepalive:
      keepalive === 'off'
        ? null
        : {
            idleSeconds: toSeconds(keepalive.idle),
            intervalSeconds: toSeconds(keepalive.interval),
            count: keepalive.count,
          },
    userTimeoutMs: user_timeout === undefined ? null : valid(parseDuration(user_timeout)),
  };
}

/** Rounded up: the kernel's options have whole seconds. */
function toSeconds(duration: string): number {
  return Math.ceil(valid(parseDuration(duration)) / 1000);
}
