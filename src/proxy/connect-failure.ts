import { Errno } from '../splice/index.js';
import type { CloseReason } from './counters.js';

/** Errors that say "not now": descriptors or ports ran out, or a unix socket's queue is full. */
export function isPassing(errno: number): boolean {
  return (
    errno === Errno.EMFILE ||
    errno === Errno.ENFILE ||
    errno === Errno.ENOBUFS ||
    errno === Errno.ENOMEM ||
    errno === Errno.EAGAIN ||
    errno === Errno.EADDRNOTAVAIL
  );
}

/** The close reason that a failed connect(2), or TLS handshake (EPROTO), amounts to. */
export function connectReason(errno: number): CloseReason {
  switch (errno) {
    case Errno.ECONNREFUSED:
    case Errno.ENOENT:
      return 'connect_refused';
    case Errno.ETIMEDOUT:
      return 'connect_timeout';
    case Errno.ENETUNREACH:
    case Errno.EHOSTUNREACH:
    case Errno.ENETDOWN:
    case Errno.EHOSTDOWN:
      return 'connect_unreachable';
    case Errno.EPROTO:
      return 'upstream_tls_failed';
    default:
      return 'connect_failed';
  }
}
