import type { Logger } from 'pino';
import { type EndpointName, lookupText, withoutDot } from '../../config/index.js';
import { type Clock, systemClock } from './clock.js';
import { DnsClient, type Family } from './dns-client.js';
import { type ResolvedEndpoint, signature, toResolved } from './endpoint.js';
import { HostLookup } from './host-lookup.js';
import { type HostSources, hostSources } from './host-sources.js';
import type { Random } from './jitter.js';
import type { LookupOutcome } from './outcome.js';
import { ServiceLookup } from './service-lookup.js';
import { type Lookup, type NameFacts, type NameSurroundings, WatchedName } from './watched-name.js';

export interface DiscoveryOptions {
  readonly logger: Logger;
  /** DNS servers, `192.0.2.1:5353`; those of resolv.conf(5) by default. */
  readonly servers?: readonly string[];
  /** Record types to ask for; by default those this machine has addresses for, judged at each lookup. */
  readonly families?: readonly Family[];
  /** `/etc/hosts` by default. */
  readonly hostsPath?: string;
  /** For `search` and `ndots`; `/etc/resolv.conf` by default. */
  readonly resolvConfPath?: string;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Told whenever the set of endpoints has changed, lowest tier first, at least one. */
export type EndpointsChanged = (endpoints: readonly ResolvedEndpoint[]) => void;

/** One name as one of its watchers sees it. */
export class NameWatch {
  /** As last told, empty before. */
  endpoints: readonly ResolvedEndpoint[] = [];
  private told = '';
  private isStopped = false;

  /** Made by {@link Discovery.watch}. */
  constructor(
    private readonly name: EndpointName,
    private readonly source: WatchedName,
    private readonly onChange: EndpointsChanged,
    private readonly leave: (watch: NameWatch) => void,
  ) {}

  /**
   * How the first lookup of the name ended; undefined when it was stopped before. Within 10 s: so long a start can
   * wait for names without being held up by them.
   */
  get first(): Promise<LookupOutcome | undefined> {
    return this.source.first;
  }

  /** Nothing is told afterwards. */
  stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    this.leave(this);
  }

  /** Tells what the name leads to now, when that is new. */
  tell(): void {
    if (this.isStopped) return;
    const port = this.name.kind === 'host' ? this.name.port : 0;
    const endpoints = this.source.endpoints.map((found) => toResolved(found, port));
    const told = signature(endpoints);
    if (told === this.told) return;
    this.told = told;
    this.endpoints = endpoints.sort(byTierAndText);
    this.onChange(this.endpoints);
  }
}

/**
 * The names of all upstreams and where they lead. Names that are watched more than once are looked up once, and at
 * most one lookup per name is under way. A name that does not resolve has no endpoints and is asked for again;
 * one that did resolve never loses its endpoints to a failing or empty answer.
 */
export class Discovery {
  private readonly names = new Map<string, { source: WatchedName; watches: Set<NameWatch> }>();
  private readonly sources: HostSources;
  private readonly surroundings: NameSurroundings;

  /** @throws TypeError when one of the servers is not an address */
  constructor(options: DiscoveryOptions) {
    const { logger, servers, clock = systemClock, random = Math.random } = options;
    this.sources = hostSources(options);
    if (servers !== undefined) DnsClient.check(servers);
    const makeClient = () => new DnsClient(servers);
    this.surroundings = { clock, random, logger, makeClient };
  }

  /**
   * Looks a name up now and after each TTL.
   *
   * @param onChange never called before this returns, and only when the set of endpoints differs from what was told
   */
  watch(name: EndpointName, onChange: EndpointsChanged): NameWatch {
    const text = lookupText(name);
    const { source, watches } = this.names.get(text) ?? this.add(text, name);
    const watch = new NameWatch(name, source, onChange, () => this.remove(text, watch));
    watches.add(watch);
    // A name that is known already has nothing to wait for.
    queueMicrotask(() => watch.tell());
    return watch;
  }

  /** One entry per name. */
  facts(): NameFacts[] {
    return [...this.names.values()].map(({ source }) => source.facts);
  }

  /** Ends all watches; leaves neither timers nor sockets. */
  stop(): void {
    for (const { watches } of [...this.names.values()]) for (const watch of watches) watch.stop();
  }

  private add(text: string, name: EndpointName) {
    const watches = new Set<NameWatch>();
    const source = new WatchedName(text, this.lookupOf(name), this.surroundings, () => {
      for (const watch of [...watches]) watch.tell();
    });
    const entry = { source, watches };
    this.names.set(text, entry);
    return entry;
  }

  private remove(text: string, watch: NameWatch): void {
    const { source, watches } = this.names.get(text)!;
    watches.delete(watch);
    if (watches.size > 0) return;
    this.names.delete(text);
    source.stop();
  }

  private lookupOf(name: EndpointName): Lookup {
    if (name.kind === 'service') {
      const lookup = new ServiceLookup(name.service, this.sources);
      return (client) => lookup.run(client);
    }
    const lookup = new HostLookup(name.host, this.sources);
    const host = withoutDot(name.host);
    return async (client) => {
      const answer = await lookup.run(client);
      if (answer.outcome !== 'answered') return answer;
      const endpoints = answer.ips.map((ip) => ({ ip, port: undefined, weight: 1, tier: 0, host }));
      return { ...answer, endpoints };
    };
  }
}

function byTierAndText(one: ResolvedEndpoint, other: ResolvedEndpoint): number {
  if (one.tier !== other.tier) return one.tier - other.tier;
  return one.address.text < other.address.text ? -1 : 1;
}
