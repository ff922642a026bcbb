import type { Logger } from 'pino';
import { ocspProblem } from './ocsp-validity.js';
import type { CertificateExpiry } from './server-credentials.js';

const DAY_MS = 86_400_000;
const WARN_MS = 14 * DAY_MS;

/** Tells the log of certificates that end soon or have ended, and of OCSP responses that do not hold; once a day each. */
export class ExpiryWatch {
  /** By listener, name and end: when the log was told. */
  private told = new Map<string, number>();

  constructor(private readonly logger: Logger) {}

  look(expiries: readonly (CertificateExpiry & { readonly listener: string })[], nowMs: number) {
    const told = new Map<string, number>();
    for (const { listener, name, file, notBeforeMs, notAfterMs, ocsp } of expiries) {
      const about = { listener, name };
      const tell = (problem: string | undefined, fields: object): void => {
        if (problem === undefined) return;
        const key = JSON.stringify([about, problem, fields]);
        const toldMs = this.told.get(key);
        const isDue = toldMs === undefined || nowMs - toldMs >= DAY_MS;
        told.set(key, isDue ? nowMs : toldMs);
        if (isDue) this.logger.warn({ ...about, ...fields }, problem);
      };
      const problem = problemOf(notBeforeMs, notAfterMs, nowMs);
      tell(problem, { file, not_after: dateOf(notAfterMs) });
      if (ocsp === undefined) continue;
      const { thisUpdateMs, nextUpdateMs } = ocsp;
      const dates = { this_update: dateOf(thisUpdateMs), next_update: dateOf(nextUpdateMs) };
      tell(ocspProblem(ocsp, nowMs), { file: ocsp.file, ...dates });
    }
    this.told = told;
  }
}

function dateOf(timeMs: number | null): string | undefined {
  return timeMs === null ? undefined : new Date(timeMs).toISOString();
}

function problemOf(notBeforeMs: number, notAfterMs: number, nowMs: number): string | undefined {
  if (notAfterMs <= nowMs) return 'tls: a certificate has expired';
  if (notBeforeMs > nowMs) return 'tls: a certificate is not valid yet';
  return notAfterMs - nowMs < WARN_MS ? 'tls: a certificate expires soon' : undefined;
}
