import type { CloseReason } from '../../counters.js';

/**
 * The status that tells a client why there is no connection to an endpoint (RFC 9110 §15.6).
 *
 * @param tlsFailure what was wrong with the last handshake, where there was one
 */
export function statusOf(reason: CloseReason, tlsFailure: string | undefined): number {
  switch (reason) {
    case 'no_endpoint':
    case 'queue_full':
    case 'queue_timeout':
      return 503;
    case 'connect_timeout':
      return 504;
    case 'upstream_tls_failed':
      return tlsFailure === 'timeout' ? 504 : 502;
    default:
      return 502;
  }
}
