import { Misc } from './constants.js';
import type { OpenSsl } from './openssl.js';

/**
 * `SSL_free`. OpenSSL takes a connection that ends without close_notify for a broken one and will not
 * resume its session (ssl_clear_bad_session), as SSL 3.0 and TLS 1.0 wanted it; since then it may be resumed
 * (RFC 4346 §7.2.1), and it has to be told.
 *
 * @param isGood nothing is wrong with the session
 */
export function freeConnection(openssl: OpenSsl, ssl: number, isGood: boolean): void {
  if (isGood) openssl.SSL_set_shutdown(ssl, Misc.SSL_SENT_SHUTDOWN);
  openssl.SSL_free(ssl);
}
