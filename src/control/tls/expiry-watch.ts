import type { Logger } from 'pino';
import type { CertificateExpiry } from './server-credentials.js';

const DAY_MS = 86_400_000;
const WARN_MS = 14 * DAY_MS;

/** Tells the log of certificates that end soon or have ended, once a day each. */
export class ExpiryWatch {
  /** By listener, name and end: when the log was told. */
  private told = new Map<string, number>();

  constructor(private readonly logger: Logger) {}

  look(expiries: readonly (CertificateExpiry & { readonly listener: string })[], nowMs: number) {
    const told = new Map<string, number>();
    for (const { listener, name, file, notBeforeMs, notAfterMs } of expiries) {
      const problem = problemOf(notBeforeMs, notAfterMs, nowMs);
      if (problem === undefined) continue;
      const key = `${listener} ${name} ${notAfterMs} ${problem}`;
      const toldMs = this.told.get(key);
      const isDue = toldMs === undefined || nowMs - toldMs >= DAY_MS;
      told.set(key, isDue ? nowMs : toldMs);
      if (!isDue) continue;
      const not_after = new Date(notAfterMs).toISOString();
      this.logger.warn({ listener, name, file, not_after }, problem);
    }
    this.told = told;
  }
}

function problemOf(notBeforeMs: number, notAfterMs: number, nowMs: number): string | undefined {
  if (notAfterMs <= nowMs) return 'tls: a certificate has expired';
  if (notBeforeMs > nowMs) return 'tls: a certificate is not valid yet';
  return notAfterMs - nowMs < WARN_MS ? 'tls: a certificate expires soon' : undefined;
}
