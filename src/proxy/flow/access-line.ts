import { connectionQuality } from '../../splice/index.js';
import { describeTls } from '../tls-status.js';
import type { Flow } from './flow.js';
import { bytesMoved, pathTaken } from './path-taken.js';

/**
 * Writes a flow's access line. Called while its sockets are still open, because TCP_INFO goes with
 * them: two system calls, made only where access lines are wanted.
 */
export function accessLine(flow: Flow): void {
  const { room, listener } = flow;
  const { json } = room.accessLog;
  if (json === undefined) return;
  const quality = connectionQuality(room.kernel, flow.client.transport.fd);
  const upstreamQuality =
    flow.upstream && connectionQuality(room.kernel, flow.upstream.transport.fd);
  json.write(
    {
      listener: listener.snapshot.name,
      client: flow.clientText,
      via: flow.via,
      unique_id: flow.uniqueId,
      server_name: flow.tls?.session?.serverName ?? flow.head?.serverName,
      tls: describeTls(flow.tls),
      upstream_tls: describeTls(flow.dial?.tls),
      upstream: flow.attempts?.upstream.name,
      endpoint: flow.attempts?.endpoint?.text,
      bytes_up: bytesMoved(flow.tunnel?.up),
      bytes_down: bytesMoved(flow.tunnel?.down),
      path_up: pathTaken(flow.tunnel?.up, flow.tunnel?.isUpSecure),
      path_down: pathTaken(flow.tunnel?.down, flow.tunnel?.isDownSecure),
      duration_ms: round(room.clock.nowMs - flow.startedMs),
      connect_ms: flow.connectMs < 0 ? undefined : round(flow.connectMs),
      rtt_us: quality?.rttUs,
      retransmits: quality?.retransmits,
      upstream_rtt_us: upstreamQuality?.rttUs,
      upstream_retransmits: upstreamQuality?.retransmits,
      capture: flow.capture?.id,
      close: flow.closeReason,
      rejection: flow.head?.rejectionName,
      mirror: flow.shadow?.status,
    },
    'flow',
  );
}

/** To whole microseconds. */
export function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
