import type { OpenSsl } from './openssl.js';

/** `ERR_LIB_SSL`, and how libraries and reasons are packed (openssl/err.h). */
const ERR_LIB_SSL = 20;
const LIBRARY_SHIFT = 23;
const LIBRARY_MASK = 0xff;
const REASON_MASK = 0x7fffff;

/** Something that was configured is not to OpenSSL's liking. Thrown at start-up and reload only. */
export class TlsError extends Error {
  /**
   * @param subject what it is about: which certificate, which list of ciphers
   * @param reason in OpenSSL's words
   */
  constructor(
    readonly subject: string,
    readonly reason: string,
  ) {
    super(`${subject}: ${reason}`);
    this.name = 'TlsError';
  }
}

/** OpenSSL's words for what has just failed, the cause first; its queue is empty afterwards. */
export function takeReason(openssl: OpenSsl): string {
  const reasons: string[] = [];
  for (let error = openssl.ERR_get_error(); error !== 0; error = openssl.ERR_get_error()) {
    const reason = openssl.ERR_reason_error_string(error) ?? `error ${error.toString(16)}`;
    if (!reasons.includes(reason)) reasons.push(reason);
  }
  return reasons.length === 0 ? 'refused without a reason' : reasons.join(', ');
}

/** @throws TlsError with OpenSSL's reason when a call did not answer with something above 0 */
export function orThrowTls(openssl: OpenSsl, result: number, subject: string): number {
  if (result > 0) return result;
  throw new TlsError(subject, takeReason(openssl));
}

/**
 * The reason of the oldest error in the queue if it is one of libssl's (SSL_R_…, openssl/sslerr.h),
 * 0 otherwise. The queue stays as it is.
 */
export function peekSslReason(openssl: OpenSsl): number {
  const error = openssl.ERR_peek_error();
  const library = Math.floor(error / 2 ** LIBRARY_SHIFT) & LIBRARY_MASK;
  return library === ERR_LIB_SSL ? error & REASON_MASK : 0;
}
