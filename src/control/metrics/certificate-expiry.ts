import type { MetricFamily } from './families.js';

/** When certificates end, for an alert some weeks before. */
export const certificateExpiry: MetricFamily = {
  name: 'headgate_certificate_expiry_seconds',
  type: 'gauge',
  help: 'Unix time at which the certificate ends; of several for one name the first to end',
  read: ({ certificates }) => {
    const ends = new Map<string, { listener: string; name: string; endMs: number }>();
    for (const { listener, name, notAfterMs } of certificates) {
      // RSA beside ECDSA: two for one name, and a series for one of them.
      const key = `${listener} ${name}`;
      const endMs = Math.min(notAfterMs, ends.get(key)?.endMs ?? Number.POSITIVE_INFINITY);
      ends.set(key, { listener, name, endMs });
    }
    return [...ends.values()].map(({ listener, name, endMs }) => ({
      labels: { listener, name },
      value: endMs / 1000,
    }));
  },
};
