import type { Logger } from 'pino';
import { type Validity, validityProblem } from './validity.js';

const DAY_MS = 86_400_000;

/** Tells the log of what ends soon, has ended, or does not hold yet; once a day each. */
export class ExpiryWatch {
  /** By what it is about and what was said: when the log was told. */
  private told = new Map<string, number>();

  constructor(private readonly logger: Logger) {}

  look(validities: readonly Validity[], nowMs: number): void {
    const told = new Map<string, number>();
    for (const validity of validities) {
      const problem = validityProblem(validity, nowMs);
      if (problem === undefined) continue;
      const { owner, name, file, notBeforeMs, notAfterMs } = validity;
      const dates = { not_before: dateOf(notBeforeMs), not_after: dateOf(notAfterMs) };
      const fields = { ...owner, name, file, ...dates };
      const key = JSON.stringify([problem, fields]);
      const toldMs = this.told.get(key);
      const isDue = toldMs === undefined || nowMs - toldMs >= DAY_MS;
      told.set(key, isDue ? nowMs : toldMs);
      if (isDue) this.logger.warn(fields, `tls: ${problem}`);
    }
    this.told = told;
  }
}

function dateOf(timeMs: number | null): string | undefined {
  return timeMs === null ? undefined : new Date(timeMs).toISOString();
}
