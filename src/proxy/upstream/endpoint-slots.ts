import { ENDPOINT_SLOTS, type EndpointTable } from './endpoint-table.js';

/** An upstream that needs slots. */
export interface SlotRequest {
  readonly upstream: string;
  readonly endpoints: readonly {
    /** As in log lines; the same address keeps its slot. */
    readonly address: string;
    /** As configured, 1 being the usual. */
    readonly weight: number;
  }[];
}

/** The slots an upstream got. */
export interface SlotAssignment {
  /** Its own, for the flows that wait. */
  readonly slot: number;
  /** In the order of the request. */
  readonly endpoints: readonly number[];
}

/**
 * Who has which slot of the endpoint table, across reloads. Lives on the control thread.
 *
 * ```
 *   free ──assign──▶ held ──not in the next assignment──▶ released
 *                     ▲                                      │
 *                     ├────the same address came back────────┤
 *                     └────somebody new, nothing active──────┘
 * ```
 *
 * Flows of an old configuration go on counting in a released slot; it is given to somebody new only
 * after the last of them, and the one released longest ago first.
 */
export class EndpointSlots {
  private readonly held = new Map<string, number>();
  /** In the order of release. */
  private readonly released = new Map<string, number>();
  /** Slots from here on were never used. */
  private unused = 0;

  constructor(private readonly table: EndpointTable) {}

  /**
   * Slots for a whole configuration. Who had one keeps it, with state and counts; whoever is not in
   * the configuration any more is released.
   *
   * @throws RangeError when there are not enough; then nothing has changed
   */
  assign(requests: readonly SlotRequest[]): SlotAssignment[] {
    const wanted = requests.map((request) => keysOf(request));
    const keys = new Set(wanted.flat());
    const newcomers = this.newcomers(keys);
    const free = this.findFree(newcomers.length, keys);
    newcomers.forEach((key, index) => {
      this.give(key, free[index]!);
    });
    for (const key of keys) this.takeBack(key);
    // Last, because workers serve the old configuration until they hear of the new one: what is
    // released now is for the next assignment.
    for (const key of this.held.keys()) if (!keys.has(key)) this.release(key);
    return requests.map(({ endpoints }, index) => {
      const [slot, ...rest] = wanted[index]!.map((key) => this.held.get(key)!);
      endpoints.forEach(({ weight }, position) => {
        this.table.setWeight(rest[position]!, Math.round(weight * 1000));
      });
      return { slot: slot!, endpoints: rest };
    });
  }

  /** How many more than those that have slots, or had, could have one; none of theirs is counted. */
  roomFor(requests: readonly SlotRequest[]): number {
    return this.free(new Set(requests.flatMap(keysOf)), ENDPOINT_SLOTS).length;
  }

  /** The slot of an endpoint, or of the upstream itself without an address; for checks and admin. */
  slotOf(upstream: string, address?: string): number | undefined {
    return this.held.get(keyOf(upstream, address));
  }

  /** @param keys who must not lose a released slot that is still theirs */
  private findFree(count: number, keys: ReadonlySet<string>): number[] {
    const free = this.free(keys, count);
    if (free.length < count) {
      throw new RangeError(
        `no room for ${count} more upstreams and endpoints: of ${ENDPOINT_SLOTS} places ${free.length} are left beside those in use`,
      );
    }
    return free;
  }

  private newcomers(keys: ReadonlySet<string>): string[] {
    return [...keys].filter((key) => !this.held.has(key) && !this.released.has(key));
  }

  /** @param count no more than these */
  private free(keys: ReadonlySet<string>, count: number): number[] {
    const free: number[] = [];
    for (let slot = this.unused; slot < ENDPOINT_SLOTS && free.length < count; slot++) {
      free.push(slot);
    }
    for (const [key, slot] of this.released) {
      if (free.length === count) break;
      if (!keys.has(key) && this.isIdle(slot)) free.push(slot);
    }
    return free;
  }

  private give(key: string, slot: number): void {
    for (const [former, theirs] of this.released) if (theirs === slot) this.released.delete(former);
    this.unused = Math.max(this.unused, slot + 1);
    this.table.reset(slot);
    this.held.set(key, slot);
  }

  private takeBack(key: string): void {
    const slot = this.released.get(key);
    if (slot === undefined) return;
    this.released.delete(key);
    this.held.set(key, slot);
  }

  private release(key: string): void {
    this.released.set(key, this.held.get(key)!);
    this.held.delete(key);
  }

  private isIdle(slot: number): boolean {
    return this.table.active(slot) === 0 && this.table.waiting(slot) === 0;
  }
}

/** The upstream's own key, then one for each endpoint; an address given twice is two endpoints. */
function keysOf({ upstream, endpoints }: SlotRequest): string[] {
  const seen = new Map<string, number>();
  const keys = endpoints.map(({ address }) => {
    const times = seen.get(address) ?? 0;
    seen.set(address, times + 1);
    return keyOf(upstream, times === 0 ? address : `${address} ${times + 1}`);
  });
  return [keyOf(upstream), ...keys];
}

function keyOf(upstream: string, address = ''): string {
  return `${upstream} ${address}`;
}
