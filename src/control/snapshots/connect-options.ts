import type { UpstreamConfig } from '../../config/index.js';
import type { ConnectOptions, SocketAddress } from '../../splice/index.js';
import { congestionControl } from '../machine/index.js';

/** `undefined` where connections to the endpoint are as the kernel makes them. */
export function connectOptions(
  socket: UpstreamConfig['socket'],
  endpoint: SocketAddress,
): ConnectOptions | undefined {
  const { keepalive, userTimeoutMs, source, fastOpen } = socket;
  const congestion = congestionControl(socket.congestionControl, endpoint);
  if (
    keepalive === null &&
    userTimeoutMs === null &&
    source === null &&
    !fastOpen &&
    congestion === undefined
  ) {
    return undefined;
  }
  return {
    keepalive: keepalive ?? undefined,
    userTimeoutMs: userTimeoutMs ?? undefined,
    source: source ?? undefined,
    fastOpen,
    congestionControl: congestion,
  };
}
