import type { CloseReason } from '../../counters.js';

/** The status that tells a client why there is no connection to an endpoint (RFC 9110 §15.6). */
export function statusOf(reason: CloseReason): number {
  switch (reason) {
    case 'no_endpoint':
    case 'queue_full':
    case 'queue_timeout':
      return 503;
    case 'connect_timeout':
      return 504;
    default:
      return 502;
  }
}
