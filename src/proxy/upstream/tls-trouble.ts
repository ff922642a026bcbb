import type { Logger } from 'pino';

/** One line of an endpoint in so much time; what happened in between is a number in the next one. */
const PAUSE_MS = 60_000;

/** What to do about a failed handshake with an endpoint, by the first entry its name begins with. */
const advices: readonly (readonly [failure: string, advice: string])[] = [
  [
    'verify_failed:unknown_issuer',
    'put the authority that issued the certificate of the endpoint into `tls.ca`',
  ],
  [
    'verify_failed:self_signed',
    'put the certificate of the endpoint, or its authority, into `tls.ca`',
  ],
  [
    'verify_failed:name_mismatch',
    'set `tls.server_name` to a name in the certificate of the endpoint',
  ],
  ['verify_failed:expired', 'renew the certificate of the endpoint'],
  ['verify_failed:not_yet_valid', 'compare the clocks, or wait until the certificate is valid'],
  ['verify_failed', 'give the endpoint a certificate that `tls.ca` can verify'],
  ['alert_received:unknown_ca', 'let the endpoint trust who issued `tls.cert`'],
  [
    'alert_received:protocol_version',
    'allow a version that the endpoint speaks: `tls.min_version`',
  ],
  ['alert_received:unrecognized_name', 'set `tls.server_name` to a name that the endpoint serves'],
  ['alert_received:no_application_protocol', 'offer in `tls.alpn` what the endpoint speaks'],
  [
    'alert_received:handshake_failure',
    'the endpoint may want a client certificate (`tls.cert`) or other `tls.ciphers`; its log knows',
  ],
  ['alert_received:certificate', 'give `tls.cert` and `tls.key` that the endpoint accepts'],
  ['alert_received:bad_certificate', 'give `tls.cert` and `tls.key` that the endpoint accepts'],
  ['alert_received', 'see the log of the endpoint for why it refused'],
  ['unsupported_version', 'allow a version that the endpoint speaks: `tls.min_version`'],
  ['no_shared', 'allow what the endpoint offers: `tls.ciphers`, `tls.curves`'],
  [
    'timeout',
    'see whether the endpoint speaks TLS at this port, or raise `timeouts.tls_handshake`',
  ],
  ['kernel_tls_unavailable', 'see `headgate doctor`, or set `tls.kernel: auto`'],
  ['internal_error', '`detail` is what the kernel or OpenSSL said of it'],
];

const NO_TLS =
  'see whether the endpoint speaks TLS at this port; if not, take `tls` from the upstream';

/** @param failure one of `handshakeFailures` */
export function adviceFor(failure: string): string {
  return advices.find(([beginning]) => failure.startsWith(beginning))?.[1] ?? NO_TLS;
}

/**
 * Tells the log that TLS with one endpoint fails, in the handshake or by an alert after it: the first time, then once a
 * minute at most.
 */
export class TlsTrouble {
  private toldMs = Number.NEGATIVE_INFINITY;
  private untold = 0;

  constructor(
    private readonly log: Logger,
    private readonly about: { readonly upstream: string; readonly endpoint: string },
  ) {}

  /**
   * @param failure one of `handshakeFailures`
   * @param detail OpenSSL's words, or the kernel's; may be empty
   * @param nowMs the loop's clock
   */
  tell(failure: string, detail: string, nowMs: number): void {
    const failures = this.untold + 1;
    const isDue = nowMs - this.toldMs >= PAUSE_MS;
    this.untold = isDue ? 0 : failures;
    if (!isDue) return;
    this.toldMs = nowMs;
    const fields = { ...this.about, failure, ...(detail !== '' && { detail }), failures };
    this.log.warn(fields, `TLS with an endpoint failed: ${adviceFor(failure)}`);
  }
}
