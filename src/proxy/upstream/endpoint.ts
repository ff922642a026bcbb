import { ConnectPlan, Sockaddr } from '../../splice/index.js';
import type { EndpointSnapshot } from '../snapshot.js';
import type { EndpointLedger } from './endpoint-ledger.js';
import { EndpointState } from './endpoint-state.js';
import type { PassiveHealth } from './passive-health.js';
import type { Candidate } from './policy/index.js';
import type { EndpointQueue } from './queue.js';
import type { TlsTrouble } from './tls-trouble.js';

/** What holds for all endpoints of an upstream while one selection is made. */
export interface Moment {
  /** Now, on the table's clock. */
  tick: number;
  /** Number of this selection; see `Endpoint.exclude`. */
  selection: number;
  /** So few are healthy that health is ignored; see `Upstream`. */
  isPanic: boolean;
}

/**
 * One address of an upstream, ready for connect(2), as one worker sees it: everything that changes
 * is in the endpoint table.
 */
export class Endpoint implements Candidate {
  readonly sockaddr: Sockaddr;
  /** Socket options of its connections, where there are any. */
  readonly plan: ConnectPlan | undefined;
  /** For log lines. */
  readonly text: string;
  /** The name or address that led here: whom TLS expects to meet; empty for a unix socket. */
  readonly host: string;
  /** Whose idle connections may carry its requests: the same address, met under the same name for the same upstream. */
  readonly pooledAs: string;
  readonly isTcp: boolean;
  readonly slot: number;
  readonly isBackup: boolean;
  readonly fullWeight: number;
  /** What the log hears when TLS fails; where it is spoken. */
  tlsTrouble: TlsTrouble | undefined;
  private excludedFrom = 0;

  /** @param connectionsMax over all workers; Infinity for no limit */
  constructor(
    snapshot: EndpointSnapshot,
    private readonly connectionsMax: number,
    private readonly ledger: EndpointLedger,
    private readonly moment: Moment,
    private readonly passive: PassiveHealth,
    private readonly queue: EndpointQueue,
    upstream: string,
  ) {
    this.sockaddr = new Sockaddr(snapshot.address);
    this.plan = snapshot.socket && new ConnectPlan(snapshot.socket);
    this.text = this.sockaddr.toString();
    const { address } = snapshot;
    this.isTcp = address.family !== 'unix';
    this.host = snapshot.host ?? (address.family === 'unix' ? '' : address.host);
    this.pooledAs = `${this.text} ${this.host} ${upstream}`;
    this.slot = snapshot.slot;
    this.isBackup = snapshot.backup;
    this.fullWeight = Math.round(snapshot.weight * 1000);
  }

  get identity(): string {
    return this.text;
  }

  get weight(): number {
    return this.ledger.weight(this.slot);
  }

  get active(): number {
    return this.ledger.active(this.slot);
  }

  get isHealthy(): boolean {
    return this.ledger.state(this.slot, this.moment.tick) <= EndpointState.up;
  }

  /** Would be taken if it had a place: healthy, or nobody asks for that now. */
  get isUsable(): boolean {
    const { slot, ledger, moment } = this;
    if (this.excludedFrom === moment.selection || ledger.weight(slot) === 0) return false;
    const state = ledger.state(slot, moment.tick);
    return moment.isPanic ? state !== EndpointState.draining : state <= EndpointState.up;
  }

  get isAvailable(): boolean {
    return this.active < this.connectionsMax && this.isUsable;
  }

  /** Leaves the endpoint out of the selection being made. */
  exclude(): void {
    this.excludedFrom = this.moment.selection;
  }

  /** Takes a place for a connection. @returns false when a worker was quicker and it is full */
  begin(): boolean {
    return this.ledger.enter(this.slot, this.connectionsMax);
  }

  /** The connection is made. */
  connected(): void {
    this.ledger.connected(this.slot, !this.passive.judgesAnswers);
  }

  /** It has answered a request. @param status of the response */
  answered(status: number): void {
    this.passive.answered(this, status);
  }

  /** A request that was sent there is over: counts it. @param status of its response, 0 where none came */
  responded(status: number): void {
    this.ledger.responded(this.slot, status);
  }

  /** The connection could not be made, and that was the endpoint's doing. @param errno positive */
  failed(errno: number): void {
    this.passive.failed(this, errno);
  }

  /** Gives the place back, whatever became of the connection. */
  ended(): void {
    this.ledger.leave(this.slot);
    this.queue.placeFreed();
  }
}
