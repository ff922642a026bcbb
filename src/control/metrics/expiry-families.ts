import type { Validity } from '../tls/index.js';
import type { MetricFamily, MetricSample } from './families.js';

/** When what TLS is done with ends, for an alert beforehand. */
export const expiryFamilies: readonly MetricFamily[] = [
  expiry(
    'headgate_certificate_expiry_seconds',
    'Unix time at which the certificate ends; of several for one name the first to end',
    'certificate',
    'listener',
  ),
  expiry(
    'headgate_upstream_certificate_expiry_seconds',
    'Unix time at which the certificate ends that endpoints are shown',
    'certificate',
    'upstream',
  ),
  expiry(
    'headgate_ocsp_response_expiry_seconds',
    'Unix time at which the OCSP response ends that is stapled with the certificate; of several for one name the first to end',
    'ocsp_response',
    'listener',
  ),
  expiry(
    'headgate_revocation_list_expiry_seconds',
    'Unix time at which the revocation list ends that is there for client certificates',
    'revocation_list',
    'listener',
  ),
];

function expiry(
  name: string,
  help: string,
  kind: Validity['kind'],
  side: 'listener' | 'upstream',
): MetricFamily {
  const read: MetricFamily['read'] = ({ validities }) =>
    firstEnds(validities.filter((one) => one.kind === kind && side in one.owner));
  return { name, type: 'gauge', help, read };
}

/** RSA beside ECDSA: two for one name, and a series for one of them. Those that do not end have none. */
function firstEnds(validities: readonly Validity[]): MetricSample[] {
  const ends = new Map<string, MetricSample>();
  for (const { owner, name, notAfterMs } of validities) {
    if (notAfterMs === null) continue;
    const labels = { ...owner, name };
    const key = JSON.stringify(labels);
    const value = Math.min(notAfterMs / 1000, ends.get(key)?.value ?? Number.POSITIVE_INFINITY);
    ends.set(key, { labels, value });
  }
  return [...ends.values()];
}
