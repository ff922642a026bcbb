import type { Logger } from 'pino';
import { errnoName } from '../../splice/index.js';
import type { ClientContext, KernelTls } from '../../tls/index.js';
import type { UpstreamSnapshot } from '../snapshot.js';
import { Endpoint, type Moment } from './endpoint.js';
import type { EndpointLedger } from './endpoint-ledger.js';
import { EndpointTier } from './endpoint-tier.js';
import { PassiveHealth } from './passive-health.js';
import { hashText } from './policy/index.js';
import { processMs } from './process-clock.js';
import { EndpointQueue, type Scheduler } from './queue.js';
import { TlsTrouble } from './tls-trouble.js';

/** Why there is no endpoint. */
export const Selection = {
  /** All are down, ejected, drained or tried already: refuse, quickly. */
  None: 0,
  /** There are healthy ones, and all of them have as many connections as they may: wait. */
  Full: 1,
} as const;
/** An endpoint with a place taken, or why there is none. */
export type Selection = Endpoint | (typeof Selection)[keyof typeof Selection];

/** That an upstream has no endpoint is logged at most this often; so is that none can be tried. */
const NONE_LOG_MS = 60_000;

/** How endpoints are met by TLS. */
export interface UpstreamTls {
  readonly context: ClientContext;
  readonly kernel: KernelTls;
}

/** What an upstream needs of its worker. */
export interface UpstreamRoom {
  readonly clock: Scheduler;
  readonly log: Logger;
  readonly ledger: EndpointLedger;
}

/**
 * Where flows go, as one worker sees it.
 *
 * ```
 *   select ──▶ a primary is usable ──▶ the policy chooses among the primaries
 *         └──▶ none of them is ──────▶ the policy chooses among the backups
 * ```
 *
 * Backups stand by for primaries that are out of use, not for those that are full: a stand-by
 * database must not be written to because its primary is busy. For one flow, a primary that it tried
 * in vain is out of use: its next attempt may be at a backup.
 *
 * Below the panic threshold the health of primaries is ignored, because the few that are left would
 * be overrun, or because it is the checks that are broken. Healthy backups are better than that,
 * but only when no primary is left.
 */
export class Upstream {
  readonly name: string;
  /** Primaries and backups, in the order of the configuration. */
  readonly endpoints: readonly Endpoint[];
  /** Flows of this worker for which there was no place. */
  readonly queue: EndpointQueue;
  readonly queueTimeoutMs: number;
  /** Connections to an endpoint that are kept for later requests, and how long. */
  readonly idleMax: number;
  readonly idleTimeoutMs: number;
  /** Whether {@link select} looks at its key. */
  readonly isKeyed: boolean;
  /** What the key is made of, as the configuration says it. */
  readonly hash: string | undefined;
  /** Connections begin with such a PROXY header. */
  readonly sendProxyProtocol: UpstreamSnapshot['sendProxyProtocol'];
  private readonly primaries: EndpointTier;
  private readonly backups: EndpointTier;
  private readonly panicThreshold: number;
  private readonly moment: Moment = { tick: 0, selection: 0, isPanic: false };
  private noneLoggedMs = Number.NEGATIVE_INFINITY;
  private untriedLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(
    snapshot: UpstreamSnapshot,
    private readonly room: UpstreamRoom,
    /** Where endpoints are spoken to by TLS. */
    readonly tls?: UpstreamTls,
  ) {
    const { clock, ledger } = room;
    this.name = snapshot.name;
    this.queueTimeoutMs = snapshot.queueTimeoutMs;
    this.idleMax = snapshot.idleMax;
    this.idleTimeoutMs = snapshot.idleTimeoutMs;
    this.sendProxyProtocol = snapshot.sendProxyProtocol;
    this.panicThreshold = snapshot.panicThreshold;
    const { balance } = snapshot;
    this.hash = typeof balance === 'object' ? balance.hash : undefined;
    this.isKeyed = this.hash !== undefined;
    this.queue = new EndpointQueue(clock, ledger, snapshot.slot, snapshot.queueMax);
    const endpoints: Endpoint[] = [];
    const passive = new PassiveHealth(snapshot, room, endpoints);
    const { connectionsPerEndpoint } = snapshot.limits;
    for (const one of snapshot.endpoints) {
      const max = connectionsPerEndpoint;
      const { moment, queue, name } = this;
      const endpoint = new Endpoint(one, max, ledger, moment, passive, queue, name);
      const about = { upstream: this.name, endpoint: endpoint.text };
      if (tls !== undefined) endpoint.tlsTrouble = new TlsTrouble(room.log, about);
      endpoints.push(endpoint);
    }
    this.endpoints = endpoints;
    // Neighbouring workers begin with neighbouring endpoints.
    const seed = (hashText(this.name) >>> 1) + ledger.worker;
    const tier = (members: Endpoint[]) => new EndpointTier(members, snapshot.balance, seed);
    this.primaries = tier(endpoints.filter(({ isBackup }) => !isBackup));
    this.backups = tier(endpoints.filter(({ isBackup }) => isBackup));
  }

  /**
   * Chooses an endpoint and takes a place there, which `Endpoint.ended` gives back.
   *
   * @param key what connections that belong together share; see {@link isKeyed}
   * @param tried endpoints that this flow has tried in vain
   */
  select(key: number, tried: readonly Endpoint[]): Selection {
    const { moment, primaries, backups } = this;
    moment.tick = this.room.ledger.tickAt(processMs(this.room.clock.nowMs));
    moment.selection++;
    moment.isPanic = this.panicThreshold > 0 && this.isPanic();
    for (const endpoint of tried) endpoint.exclude();
    // Nothing is selected among those that are out of use: that needs a look only when nothing was.
    const primary = primaries.select(key);
    if (primary !== undefined) return primary;
    if (primaries.isUsable) return Selection.Full;
    const backup = backups.select(key);
    if (backup !== undefined) return backup;
    if (backups.isUsable) return Selection.Full;
    if (tried.length === 0) this.sayNone();
    return Selection.None;
  }

  /**
   * A connection could not even be tried, which is nobody's fault but this machine's: the clients'
   * wait would be all there is to see of a source address that is not here, or ports that ran out.
   *
   * @param errno why, positive
   */
  sayUntried(endpoint: Endpoint, errno: number): void {
    const { clock, log } = this.room;
    if (clock.nowMs - this.untriedLoggedMs < NONE_LOG_MS) return;
    this.untriedLoggedMs = clock.nowMs;
    log.warn(
      { upstream: this.name, endpoint: endpoint.text, error: errnoName(errno) },
      'connections cannot even be tried now: they are tried again until timeouts.connect',
    );
  }

  private isPanic(): boolean {
    const share = this.primaries.healthyShare;
    return share < this.panicThreshold && (share > 0 || this.backups.healthyShare === 0);
  }

  private sayNone(): void {
    const { clock, log } = this.room;
    if (clock.nowMs - this.noneLoggedMs < NONE_LOG_MS) return;
    this.noneLoggedMs = clock.nowMs;
    log.error({ upstream: this.name }, 'no endpoint is in use: connections are refused');
  }
}
