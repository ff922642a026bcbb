import { type ExchangeNote, noteOf } from './exchange-note.js';
import type { Refusal } from './guarding/index.js';
import type { HttpPolicy } from './http-policy.js';
import { type Lateness, type LatenessName, latenessNames } from './lateness.js';
import type { RouteCounters } from './route-counters.js';

/** What an exchange leaves behind: the numbers of its route, and its access line. */
export class ExchangeRecord {
  startedMs = 0;
  /** Connections that were tried after another had failed. */
  retries = 0;
  /** What the access line says of the request; nothing where nobody reads it. */
  note: ExchangeNote | undefined;
  /** What it has taken too long for, if it has. */
  lateFor: LatenessName | undefined;
  private answeredMs = -1;
  private counters: RouteCounters | undefined;

  /** @param nowMs when the request's head was read */
  begin(nowMs: number): void {
    this.startedMs = nowMs;
    this.answeredMs = -1;
    this.retries = 0;
    this.lateFor = undefined;
  }

  /** The policy has taken up the request. */
  routed(policy: HttpPolicy, logsAccess: boolean): void {
    this.note = logsAccess ? noteOf(policy) : undefined;
    this.counters = policy.counters;
    this.counters.countBegun();
  }

  /** There is a response, or an answer of our own. */
  answered(nowMs: number): void {
    this.answeredMs = nowMs;
  }

  /** Its route has let it in, and then could not serve it. */
  refused(refusal: Refusal): void {
    this.counters!.countRefused(refusal);
  }

  /** It has taken too long. */
  late(lateness: Exclude<Lateness, 0>): void {
    this.lateFor = latenessNames[lateness - 1]!;
    this.counters!.countLate(lateness);
  }

  /** From the request's head to the response's, or to an answer of our own; −1 before. */
  get firstByteMs(): number {
    return this.answeredMs < 0 ? -1 : this.answeredMs - this.startedMs;
  }

  /** @param status of the answer, 0 where there was none */
  end(status: number, nowMs: number): void {
    this.counters!.countEnded(status, nowMs - this.startedMs, this.firstByteMs);
  }
}
