import type { UpstreamConfig } from '../../config/index.js';
import { type EndpointTable, Health } from '../../proxy/index.js';
import { type HealthMonitor, type HealthWatch, SlowStart } from '../health/index.js';
import type { Member } from './live-upstream.js';

const FULL_SHARE = 1000;

/** What all endpoints have in common. */
export interface EndpointRoom {
  readonly table: EndpointTable;
  readonly monitor: HealthMonitor;
}

/**
 * One endpoint while it is in use: what is found out about it goes into its slot of the table, the
 * check's verdict as its health, the slow start as its weight.
 */
export class LiveEndpoint {
  /** Two with the same one are treated alike, and may stand for each other across a reload. */
  readonly treatment: string;
  private share = FULL_SHARE;
  private readonly watch: HealthWatch | undefined;
  private readonly slowStart: SlowStart;

  /** @param earlier the same endpoint under another treatment: what was found out about it still holds */
  constructor(
    private readonly room: EndpointRoom,
    upstream: UpstreamConfig,
    readonly member: Member,
    readonly slot: number,
    earlier?: LiveEndpoint,
  ) {
    const { active, slowStartMs, name } = upstream;
    this.treatment = treatmentOf(upstream, member);
    this.slowStart = new SlowStart(slowStartMs, (share) => {
      this.share = share;
      this.applyWeight();
    });
    const state = earlier?.watch?.state;
    const isKnown = active !== null && (state === 'up' || state === 'down');
    if (!isKnown) room.table.setHealth(slot, Health.unchecked);
    if (active === null) return;
    const { address, host } = member;
    this.watch = room.monitor.watch(
      { upstream: name, address, host },
      active,
      (to, _, from) => this.judged(to, from),
      isKnown ? state : undefined,
    );
    const beganAtMs = earlier?.slowStart.beganAtMs;
    if (beganAtMs !== undefined) this.slowStart.begin(beganAtMs);
  }

  /** What the last check said; nothing when there is none. */
  get checkReason(): string | undefined {
    return this.watch?.reason || undefined;
  }

  /** The weight in effect goes into the table, again. */
  applyWeight(): void {
    this.room.table.setWeight(this.slot, Math.round(this.member.weight * this.share));
  }

  stop(): void {
    this.watch?.stop();
    this.slowStart.stop();
  }

  private judged(to: 'up' | 'down', from: string): void {
    const { table } = this.room;
    if (to === 'down') {
      this.slowStart.stop();
      table.setHealth(this.slot, Health.down);
      return;
    }
    if (from === 'down') {
      // The check has seen it answer: what traffic found before is old.
      table.pardon(this.slot);
      this.slowStart.begin();
    }
    table.setHealth(this.slot, Health.up);
  }
}

export function treatmentOf({ active, slowStartMs }: UpstreamConfig, member: Member): string {
  const { host, weight } = member;
  return JSON.stringify({ active, slowStartMs, host, weight });
}
