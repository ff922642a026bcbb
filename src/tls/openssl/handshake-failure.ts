import { alertNames } from '../protocol/index.js';
import type { OpenSsl } from './openssl.js';
import { peekSslReason } from './openssl-error.js';

/** What is wrong with a certificate, by X509_V_ERR_… (openssl/x509_vfy.h). */
const verifyNames: Readonly<Record<number, string>> = {
  2: 'unknown_issuer',
  3: 'no_revocation_list',
  7: 'bad_signature',
  9: 'not_yet_valid',
  10: 'expired',
  11: 'revocation_list_not_yet_valid',
  12: 'revocation_list_expired',
  18: 'self_signed',
  19: 'self_signed',
  20: 'unknown_issuer',
  21: 'unknown_issuer',
  22: 'chain_too_long',
  23: 'revoked',
  26: 'wrong_purpose',
  62: 'name_mismatch',
  64: 'name_mismatch',
  66: 'weak_key',
  67: 'weak_key',
  68: 'weak_signature',
  79: 'not_an_authority',
};

/** SSL_R_… (openssl/sslerr.h) of what happens in everyday traffic; the rest is `protocol_error`. */
const reasonNames: Readonly<Record<number, string>> = {
  101: 'no_shared_group',
  118: 'no_shared_signature_algorithm',
  155: 'plain_http',
  156: 'plain_http',
  176: 'client_certificate_required',
  191: 'unsupported_version',
  193: 'no_shared_cipher',
  199: 'client_certificate_required',
  235: 'no_application_protocol',
  258: 'unsupported_version',
  259: 'unsupported_version',
  267: 'not_tls',
  294: 'eof',
  376: 'no_shared_signature_algorithm',
  396: 'unsupported_version',
  410: 'no_shared_group',
};

const SSL_R_CERTIFICATE_VERIFY_FAILED = 134;
/** An alert that was received is the reason 1000 plus its number (SSL_AD_REASON_OFFSET). */
const ALERT_REASONS = 1000;

const OTHER = 'other';
const ALERT_RECEIVED = 'alert_received:';
const VERIFY_FAILED = 'verify_failed:';

/**
 * Every reason a handshake can fail for, as counters and log lines call it; a list that never grows
 * at run time, so that counters have fixed places.
 */
export const handshakeFailures: readonly string[] = [
  ...new Set([
    // Before the handshake: what came was no ClientHello.
    ...['plain_http', 'not_tls'],
    // Nothing the two have in common.
    ...['unsupported_version', 'no_shared_cipher', 'no_shared_group'],
    ...['no_shared_signature_algorithm', 'no_application_protocol'],
    ...['client_certificate_required', 'protocol_error'],
    // The connection.
    ...['timeout', 'eof', 'reset'],
    // Kernel TLS was required and could not be had.
    'kernel_tls_unavailable',
    'internal_error',
    ...[...Object.values(alertNames), OTHER].map((name) => ALERT_RECEIVED + name),
    ...[...Object.values(verifyNames), OTHER].map((name) => VERIFY_FAILED + name),
  ]),
];

/** One of {@link handshakeFailures}. */
export type HandshakeFailure = string;

/** The reason of the error that stands first in OpenSSL's queue. */
export function failureOf(openssl: OpenSsl, ssl: number): HandshakeFailure {
  const reason = peekSslReason(openssl);
  if (reason >= ALERT_REASONS) return receivedAlert(reason - ALERT_REASONS);
  if (reason === SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return VERIFY_FAILED + (verifyNames[openssl.SSL_get_verify_result(ssl)] ?? OTHER);
  }
  return reasonNames[reason] ?? 'protocol_error';
}

/** @param description the number of an alert that was received */
export function receivedAlert(description: number): HandshakeFailure {
  return ALERT_RECEIVED + (alertNames[description] ?? OTHER);
}

/** Whether a failure is an alert of the other side's. */
export function isReceivedAlert(failure: string): boolean {
  return failure.startsWith(ALERT_RECEIVED);
}
