import type { NameAnswer } from '../../proxy/index.js';
import type { DiscoveryOptions } from './discovery.js';
import { DnsClient } from './dns-client.js';
import { HostLookup } from './host-lookup.js';
import { type HostSources, hostSources } from './host-sources.js';

/** A lookup that takes longer has failed. */
const LOOKUP_TIMEOUT_MS = 10_000;
/** A TTL is believed between these. */
const TTL_MS_MIN = 1_000;
const TTL_MS_MAX = 300_000;
/** How long a bad answer holds: long where there is no such name, short where nobody could say. */
const MISSING_TTL_MS = 5_000;
const FAILED_TTL_MS = 1_000;
/** Names that are looked up at one time; more are told at once that it cannot be done. */
const LOOKUPS_MAX = 256;

/**
 * Names that clients of a forward proxy ask for and nobody has listed: looked up when a worker asks, and forgotten.
 * Workers that ask for the same name at the same time share one lookup. Names are complete: the search list
 * would let a client choose another name than was allowed.
 */
export class NamesOnDemand {
  private readonly sources: HostSources;
  private readonly servers: readonly string[] | undefined;
  private readonly underWay = new Map<string, Promise<NameAnswer>>();
  private readonly clients = new Set<DnsClient>();

  constructor(options: Partial<DiscoveryOptions> = {}) {
    this.servers = options.servers;
    this.sources = hostSources(options);
  }

  /** Never rejects. @param name in lower case, without a dot at its end */
  ask(name: string): Promise<NameAnswer> {
    const known = this.underWay.get(name);
    if (known !== undefined) return known;
    if (this.underWay.size >= LOOKUPS_MAX) return Promise.resolve(unanswered(name, 'failed'));
    const answer = this.lookUp(name).finally(() => this.underWay.delete(name));
    this.underWay.set(name, answer);
    return answer;
  }

  /** Ends what is under way. */
  stop(): void {
    for (const client of this.clients) client.cancel();
  }

  private async lookUp(name: string): Promise<NameAnswer> {
    const client = new DnsClient(this.servers);
    this.clients.add(client);
    const timer = setTimeout(() => client.cancel(), LOOKUP_TIMEOUT_MS);
    try {
      const answer = await new HostLookup(`${name}.`, this.sources).run(client);
      switch (answer.outcome) {
        case 'answered': {
          const ttlMs = Math.min(TTL_MS_MAX, Math.max(TTL_MS_MIN, answer.ttlMs));
          return { name, ips: answer.ips, ttlMs, outcome: 'answered' };
        }
        case 'empty':
        case 'not_found':
          return unanswered(name, 'not_found');
        case 'timeout':
          return unanswered(name, 'timeout');
        default:
          return unanswered(name, 'failed');
      }
    } finally {
      clearTimeout(timer);
      this.clients.delete(client);
    }
  }
}

function unanswered(name: string, outcome: 'not_found' | 'timeout' | 'failed'): NameAnswer {
  const ttlMs = outcome === 'not_found' ? MISSING_TTL_MS : FAILED_TTL_MS;
  return { name, ips: [], ttlMs, outcome };
}
