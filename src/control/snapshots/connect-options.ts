import type { UpstreamConfig } from '../../config/index.js';
import type { ConnectOptions } from '../../splice/index.js';

/** `undefined` where connections to endpoints are as the kernel makes them. */
export function connectOptions(socket: UpstreamConfig['socket']): ConnectOptions | undefined {
  const { keepalive, userTimeoutMs, source, fastOpen } = socket;
  if (keepalive === null && userTimeoutMs === null && source === null && !fastOpen)
    return undefined;
  return {
    keepalive: keepalive ?? undefined,
    userTimeoutMs: userTimeoutMs ?? undefined,
    source: source ?? undefined,
    fastOpen,
  };
}
