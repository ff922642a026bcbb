import type { MetricFamily, MetricSample } from './families.js';

/** When certificates end, for an alert some weeks before. */
export const certificateExpiry: MetricFamily = {
  name: 'headgate_certificate_expiry_seconds',
  type: 'gauge',
  help: 'Unix time at which the certificate ends; of several for one name the first to end',
  read: ({ certificates }) => firstEnds(certificates, ({ notAfterMs }) => notAfterMs),
};

/** When stapled OCSP responses end: whoever renews them may have stopped. */
export const ocspResponseExpiry: MetricFamily = {
  name: 'headgate_ocsp_response_expiry_seconds',
  type: 'gauge',
  help: 'Unix time at which the OCSP response ends that is stapled with the certificate; of several for one name the first to end',
  read: ({ certificates }) => firstEnds(certificates, ({ ocsp }) => ocsp?.nextUpdateMs ?? null),
};

type Certificates = Parameters<MetricFamily['read']>[0]['certificates'];

/** RSA beside ECDSA: two for one name, and a series for one of them. Those that do not end have none. */
function firstEnds(
  certificates: Certificates,
  endOf: (certificate: Certificates[number]) => number | null,
): MetricSample[] {
  const ends = new Map<string, { listener: string; name: string; endMs: number }>();
  for (const certificate of certificates) {
    const end = endOf(certificate);
    if (end === null) continue;
    const { listener, name } = certificate;
    const key = `${listener} ${name}`;
    const endMs = Math.min(end, ends.get(key)?.endMs ?? Number.POSITIVE_INFINITY);
    ends.set(key, { listener, name, endMs });
  }
  return [...ends.values()].map(({ listener, name, endMs }) => ({
    labels: { listener, name },
    value: endMs / 1000,
  }));
}
