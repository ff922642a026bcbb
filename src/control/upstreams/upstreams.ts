import type { Logger } from 'pino';
import type { Address, UpstreamConfig } from '../../config/index.js';
import {
  ENDPOINT_SLOTS,
  EndpointSlots,
  type EndpointTable,
  endpointStateNames,
  type NameAnswer,
  type SlotReading,
  type SlotRequest,
  type UpstreamSnapshot,
} from '../../proxy/index.js';
import { errnoName, formatAddress } from '../../splice/index.js';
import type { EndpointOrder, UpstreamStatus } from '../admin/index.js';
import {
  Discovery,
  type DiscoveryOptions,
  type NameFacts,
  NamesOnDemand,
} from '../discovery/index.js';
import { HealthMonitor } from '../health/index.js';
import { connectOptions } from '../snapshots/index.js';
import { clientSettings } from '../tls/index.js';
import {
  fit,
  isOther,
  type MembersByUpstream,
  membersOf,
  type UpstreamMembers,
} from './fitting.js';
import { LiveEndpoint, treatmentOf } from './live-endpoint.js';
import { LiveUpstream, type Member } from './live-upstream.js';

/** What workers have been told to leave is free for others after that, at least. */
const ROOM_RETRY_MS = 2000;

export interface UpstreamsOptions {
  readonly logger: Logger;
  readonly table: EndpointTable;
  /** Where names are looked up; as the system says by default. */
  readonly discovery?: Partial<DiscoveryOptions>;
  /** The list of an upstream is another one: {@link Upstreams.snapshots} are new. */
  readonly onChange: () => void;
}

/** Numbers of one endpoint of an upstream, for the metrics. */
export interface EndpointStatistics extends SlotReading {
  readonly address: string;
}

/** Numbers of one upstream, for the metrics. */
export interface UpstreamStatistics {
  readonly name: string;
  /** Client connections that wait for a place. */
  readonly waiting: number;
  readonly endpoints: readonly EndpointStatistics[];
}

/** An upstream as workers know it. */
interface InForce {
  readonly config: UpstreamConfig;
  readonly members: readonly Member[];
  readonly snapshot: UpstreamSnapshot;
}

/**
 * All upstreams of the configuration in force, and those of one that is about to be.
 *
 * ```
 *   configure ──▶ next ──publish──▶ live ──a name leads elsewhere──▶ follow, onChange
 *                  │
 *                  └──abandon──▶ nothing has changed
 * ```
 *
 * What the names of the next ones say is gathered and nobody is told: the listeners that would use it are
 * about to change, too. Those in force follow their names meanwhile.
 */
export class Upstreams {
  /** In the order of the configuration; what workers should know now. Those that are as before are the same objects. */
  snapshots: readonly UpstreamSnapshot[] = [];
  private live: LiveUpstream[] = [];
  /** From {@link configure} to {@link publish} or {@link abandon}. */
  private next: LiveUpstream[] | undefined;
  private endpoints = new Map<string, LiveEndpoint>();
  /** What {@link snapshots} were made of, by upstream. */
  private inForce: ReadonlyMap<string, InForce> = new Map();
  private readonly slots: EndpointSlots;
  private readonly monitor: HealthMonitor;
  private discovery: Discovery | undefined;
  private onDemand: NamesOnDemand | undefined;
  private isChanged = false;
  private isStopped = false;
  private isHurried = false;
  /** Ends {@link settle}, while somebody waits for it. */
  private giveUp: (() => void) | undefined;
  /** Runs while names lead to more endpoints than there is room for. */
  private retry: NodeJS.Timeout | undefined;

  constructor(private readonly options: UpstreamsOptions) {
    this.slots = new EndpointSlots(options.table);
    this.monitor = new HealthMonitor({ logger: options.logger });
  }

  /**
   * Takes another configuration, and begins to look up its names. It is in force after {@link publish}.
   *
   * @param demos where the demo origins listen, by upstream
   * @throws RangeError when an address has a zone that is no interface, Error when the system's
   *   certificate authorities cannot be read; nothing has changed then
   */
  configure(configs: readonly UpstreamConfig[], demos: ReadonlyMap<string, Address>): void {
    const next: LiveUpstream[] = [];
    try {
      // Later there is nobody to tell of a file that is missing.
      for (const { tls } of configs) if (tls !== null) clientSettings(tls);
      for (const config of configs) {
        const demo = config.demo ? demos.get(config.name) : undefined;
        next.push(
          new LiveUpstream(
            config,
            demo,
            () => this.names(),
            () => {
              if (this.live === next) this.nameChanged();
            },
          ),
        );
      }
    } catch (error) {
      for (const one of next) one.stop();
      throw error;
    }
    this.abandon();
    this.next = next;
  }

  /** Gives up what {@link configure} took: what is in force has never noticed. */
  abandon(): void {
    for (const one of this.next ?? []) one.stop();
    this.next = undefined;
  }

  /** Waits for the first answers of names, but not longer than `timeoutMs`. */
  async settle(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      this.giveUp = resolve;
      timer = setTimeout(resolve, this.isHurried ? 0 : timeoutMs);
    });
    await Promise.race([Promise.all((this.next ?? []).map((one) => one.firstAnswers())), late]);
    clearTimeout(timer);
    this.giveUp = undefined;
    // An answer is told in a microtask of its own.
    if (this.discovery !== undefined) await new Promise((resolve) => setImmediate(resolve));
  }

  /** From here on {@link settle} does not wait: it ends, and a name that nobody answers for is no reason to stay. */
  hurry(): void {
    this.isHurried = true;
    this.giveUp?.();
  }

  /**
   * Puts what {@link configure} took in force, as far as it is known now: slots, checks, and the snapshots for workers.
   *
   * @throws RangeError when the table has no room for so many endpoints; nothing has changed then
   */
  publish(): void {
    if (this.next === undefined) return;
    this.putInForce(listsOf(this.next));
    // Last, so that names which are in both are not forgotten in between.
    for (const one of this.live) one.stop();
    this.live = this.next;
    this.next = undefined;
    this.hasRoom();
  }

  statistics(): UpstreamStatistics[] {
    const { table } = this.options;
    return this.snapshots.map(({ name, slot, endpoints }) => ({
      name,
      waiting: table.waiting(slot),
      endpoints: endpoints.map(({ address, slot }) => ({
        address: formatAddress(address),
        ...table.read(slot),
      })),
    }));
  }

  /** For the admin endpoint. */
  status(): UpstreamStatus[] {
    return this.statistics().map(({ name, waiting, endpoints }, index) => ({
      name,
      waiting,
      endpoints: endpoints.map(({ address, ...read }, position) => {
        const { checkReason, member } = this.endpoints.get(keyOf(name, address))!;
        return {
          address,
          state: endpointStateNames[read.state]!,
          host: member.host,
          backup: this.snapshots[index]!.endpoints[position]!.backup,
          weight: read.weight,
          active: read.active,
          connects: read.connects,
          failures: read.failures,
          last_error: read.lastErrno === 0 ? undefined : errnoName(read.lastErrno),
          ejections: read.ejections,
          ejected_for_ms: read.ejectedForMs,
          check: checkReason,
        };
      }),
    }));
  }

  /** An operator's order. @returns false when there is no such endpoint */
  order(upstream: string, endpoint: string, order: EndpointOrder): boolean {
    const found = this.endpoints.get(keyOf(upstream, endpoint));
    if (found === undefined) return false;
    const { table, logger } = this.options;
    table.setDraining(found.slot, order === 'drain');
    if (order === 'ready') table.pardon(found.slot);
    logger.info({ upstream, endpoint, order }, 'endpoint: an operator’s order');
    return true;
  }

  /** Ends lookups and checks; leaves neither timers nor sockets. */
  stop(): void {
    this.isStopped = true;
    clearTimeout(this.retry);
    this.abandon();
    for (const one of this.endpoints.values()) one.stop();
    for (const one of this.live) one.stop();
    this.monitor.stop();
    this.discovery?.stop();
    this.onDemand?.stop();
  }

  /** The names that endpoints are found by. */
  get nameFacts(): readonly NameFacts[] {
    return this.discovery?.facts() ?? [];
  }

  /** Looks up a name that no upstream has. Never rejects. */
  lookUp(name: string): Promise<NameAnswer> {
    this.onDemand ??= new NamesOnDemand(this.options.discovery);
    return this.onDemand.ask(name);
  }

  private names(): Discovery {
    const { logger, discovery } = this.options;
    this.discovery ??= new Discovery({ logger, ...discovery });
    return this.discovery;
  }

  /** Several names may change in one answer: workers are told once. */
  private nameChanged(): void {
    if (this.isChanged) return;
    this.isChanged = true;
    setImmediate(() => {
      this.isChanged = false;
      if (!this.isStopped) this.follow();
    });
  }

  /** What names say now is in force, or as much of it as there is room for; then it is tried again. */
  private follow(): void {
    try {
      if (this.followNames()) this.options.onChange();
    } catch (error) {
      // A flow may have begun in a place that had just been found free.
      this.options.logger.error({ err: error }, 'upstreams stay as they were');
      this.retryLater();
    }
  }

  /** @returns whether workers have to be told */
  private followNames(): boolean {
    const wanted = listsOf(this.live);
    const fitting = fit(wanted, this.inForce, this.slots.roomFor(wanted.map(toRequest)));
    const isOtherThan = (lists: MembersByUpstream) =>
      fitting.filter(({ upstream, members }) => isOther(membersOf(lists, upstream), members));
    const short = isOtherThan(byName(wanted));
    if (short.length > 0) this.lacksRoom(short);
    else this.hasRoom();
    if (isOtherThan(this.inForce).length === 0) return false;
    this.putInForce(fitting);
    return true;
  }

  /** @throws RangeError when the table has no room for so many endpoints; nothing has changed then */
  private putInForce(lists: readonly UpstreamMembers[]): void {
    const assigned = this.slots.assign(lists.map(toRequest));
    const endpoints = new Map<string, LiveEndpoint>();
    const inForce = lists.map(({ upstream: { config }, members }, index) => {
      const { slot, endpoints: slots } = assigned[index]!;
      const earlier = this.inForce.get(config.name);
      members.forEach((member, position) => {
        const key = keyOf(config.name, member.text);
        endpoints.set(key, this.endpoint(key, config, member, slots[position]!));
      });
      if (earlier?.config === config && !isOther(earlier.members, members)) return earlier;
      if (members.length === 0) this.sayEmpty(config.name);
      return { config, members, snapshot: toSnapshot(config, slot, members, slots) };
    });
    this.inForce = new Map(inForce.map((one) => [one.config.name, one]));
    this.snapshots = inForce.map(({ snapshot }) => snapshot);
    for (const [key, one] of this.endpoints) if (endpoints.get(key) !== one) one.stop();
    this.endpoints = endpoints;
    for (const one of endpoints.values()) one.applyWeight();
  }

  private lacksRoom(upstreams: readonly UpstreamMembers[]): void {
    const isNews = this.retry === undefined;
    this.retryLater();
    if (!isNews) return;
    const names = upstreams.map(({ upstream }) => upstream.config.name);
    this.options.logger.error(
      { upstreams: names, room: ENDPOINT_SLOTS },
      'names lead to more endpoints than there is room for: new ones are left out, or wait for others to go',
    );
  }

  private retryLater(): void {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.follow(), ROOM_RETRY_MS);
  }

  private hasRoom(): void {
    if (this.retry === undefined) return;
    clearTimeout(this.retry);
    this.retry = undefined;
    this.options.logger.info('there is room for all endpoints of names again');
  }

  private endpoint(key: string, config: UpstreamConfig, member: Member, slot: number) {
    const earlier = this.endpoints.get(key);
    if (earlier?.treatment === treatmentOf(config, member)) return earlier;
    const room = { table: this.options.table, monitor: this.monitor };
    return new LiveEndpoint(room, config, member, slot, earlier);
  }

  private sayEmpty(upstream: string): void {
    this.options.logger.warn(
      { upstream },
      'upstream: none of its names leads to an address yet; connections are refused',
    );
  }
}

function listsOf(upstreams: readonly LiveUpstream[]): UpstreamMembers[] {
  return upstreams.map((upstream) => ({ upstream, members: upstream.members }));
}

function byName(lists: readonly UpstreamMembers[]): MembersByUpstream {
  return new Map(lists.map((one) => [one.upstream.config.name, one]));
}

function toRequest({ upstream, members }: UpstreamMembers): SlotRequest {
  const endpoints = members.map(({ text, weight }) => ({ address: text, weight }));
  return { upstream: upstream.config.name, endpoints };
}

function toSnapshot(
  config: UpstreamConfig,
  slot: number,
  members: readonly Member[],
  slots: readonly number[],
): UpstreamSnapshot {
  const { name, balance, passive, panicThreshold, connections, sendProxyProtocol } = config;
  return {
    name,
    slot,
    balance,
    endpoints: members.map(({ socket, host, weight, backup }, position) => ({
      address: socket,
      host,
      weight,
      backup,
      socket: connectOptions(config.socket, socket),
      slot: slots[position]!,
    })),
    limits: { connectionsPerEndpoint: connections.perEndpoint ?? Number.POSITIVE_INFINITY },
    idleMax: connections.idle,
    idleTimeoutMs: connections.idleTimeoutMs,
    passive: passive ?? undefined,
    panicThreshold,
    queueTimeoutMs: connections.queueTimeoutMs,
    queueMax: connections.queue,
    ...(config.tls !== null && { tls: clientSettings(config.tls) }),
    ...(sendProxyProtocol !== null && { sendProxyProtocol }),
  };
}

/** Names have no spaces. */
function keyOf(upstream: string, address: string): string {
  return `${upstream} ${address}`;
}
