import type { WorkerRoom } from '../../room.js';
import { upstreamDefaults } from '../../snapshot.js';
import { EndpointLedger, EndpointTable, Upstream } from '../../upstream/index.js';
import type { OutboundAddress } from './outbound.js';
import { OutboundNames } from './outbound-names.js';

const UPSTREAM_SLOT = 0;
const ENDPOINT_SLOT = 1;

/**
 * Upstreams for addresses that clients have named, or names have led to: each for one request. They are in
 * nobody's statistics, so all have the same two slots of a table of their own; no connection to them is
 * kept, nothing is held against them, and nobody waits for a place.
 */
export class OutboundUpstreams {
  private readonly ledger: EndpointLedger;
  /** Those that nobody has listed. */
  readonly names: OutboundNames;

  constructor(private readonly worker: WorkerRoom) {
    this.ledger = new EndpointLedger(EndpointTable.createMemory(1), 0);
    this.ledger.setWeight(ENDPOINT_SLOT, 1000);
    this.names = new OutboundNames(worker);
  }

  /**
   * @param target what the client has asked for
   * @param addresses where it leads
   */
  upstreamFor(target: string, addresses: readonly OutboundAddress[]): Upstream {
    const { clock, log } = this.worker;
    const snapshot = {
      ...upstreamDefaults,
      // The spaces keep it apart from what a configuration names.
      name: `forward to ${target}`,
      slot: UPSTREAM_SLOT,
      endpoints: addresses.map((address) => ({
        address,
        weight: 1,
        backup: false,
        slot: ENDPOINT_SLOT,
      })),
      passive: undefined,
      queueMax: 0,
      idleMax: 0,
    };
    return new Upstream(snapshot, { clock, log, ledger: this.ledger });
  }
}
