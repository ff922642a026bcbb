import { errnoName } from '../../splice/index.js';
import type { UpstreamSnapshot } from '../snapshot.js';
import type { Endpoint } from './endpoint.js';
import { processMs } from './process-clock.js';
import type { UpstreamRoom } from './upstream.js';

/**
 * Learns from failed connections, and from answers where some count as failures: after so many in a row, counted over all workers, an endpoint is
 * ejected for a while. It comes back by the clock, without anybody's doing, and is then as good as
 * any, except that one more failure is enough to eject it again, for twice as long.
 */
export class PassiveHealth {
  private readonly ejectedMax: number;

  /** @param endpoints the upstream's, backups too; they may be filled in later */
  constructor(
    private readonly snapshot: UpstreamSnapshot,
    private readonly room: UpstreamRoom,
    private readonly endpoints: readonly Endpoint[],
  ) {
    this.ejectedMax = Math.floor((snapshot.passive?.ejectedMax ?? 0) * snapshot.endpoints.length);
  }

  /** Answers are judged, too: a connection alone proves nothing. */
  get judgesAnswers(): boolean {
    return this.snapshot.passive?.statuses !== undefined;
  }

  /** @param errno positive */
  failed(endpoint: Endpoint, errno: number): void {
    const failures = this.room.ledger.failed(endpoint.slot, errno);
    const about = { failures, error: errnoName(errno) };
    this.ejectAfter(endpoint, about, 'endpoint ejected: connecting failed too often in a row');
  }

  /** @param status of a response */
  answered(endpoint: Endpoint, status: number): void {
    const statuses = this.snapshot.passive?.statuses;
    if (statuses === undefined) return;
    const { ledger } = this.room;
    if (!statuses.some(({ from, to }) => status >= from && status <= to)) {
      ledger.succeeded(endpoint.slot);
      return;
    }
    const failures = ledger.answeredBadly(endpoint.slot);
    const about = { failures, status };
    this.ejectAfter(endpoint, about, 'endpoint ejected: too many bad answers in a row');
  }

  /** @param about the last failure, and how many it makes in a row */
  private ejectAfter(
    endpoint: Endpoint,
    about: { readonly failures: number; readonly error?: string; readonly status?: number },
    message: string,
  ): void {
    const { passive, name } = this.snapshot;
    if (passive === undefined || about.failures < passive.failures) return;
    const durationMs = this.eject(endpoint, passive.ejectForMs);
    if (durationMs === 0) return;
    const { log } = this.room;
    log.warn({ upstream: name, endpoint: endpoint.text, ...about, eject_ms: durationMs }, message);
  }

  /** @returns for how long; 0 when it was ejected already, or too many others are */
  private eject(endpoint: Endpoint, baseMs: number): number {
    const { clock, ledger } = this.room;
    const tick = ledger.tickAt(processMs(clock.nowMs));
    if (this.countEjected(tick) >= this.ejectedMax) return 0;
    const durationMs = ledger.eject(endpoint.slot, tick, baseMs);
    if (durationMs === 0 || this.countEjected(tick) <= this.ejectedMax) return durationMs;
    // Another worker ejected another endpoint at the same moment: one of the two is too many.
    ledger.takeBackEjection(endpoint.slot, tick);
    return 0;
  }

  private countEjected(tick: number): number {
    let count = 0;
    for (const { slot } of this.endpoints) if (this.room.ledger.isEjected(slot, tick)) count++;
    return count;
  }
}
