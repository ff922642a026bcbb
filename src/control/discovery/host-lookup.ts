import { withoutDot } from '../../config/index.js';
import type { AddressRecord, DnsClient, Family } from './dns-client.js';
import { canonicalIp } from './endpoint.js';
import type { HostSources } from './host-sources.js';
import { type Found, isDefinite, type LookupFailure } from './outcome.js';

/** What hosts(5) says is looked at again after this long; reading is one stat(2) while nothing changed. */
const HOSTS_TTL_MS = 5_000;

/**
 * So long one family waits for the other after it has addresses: enough for a lost question to be asked again (2 s) and
 * answered, and less than `timeouts.connect`, by which a client of a forward proxy waits. Some resolvers never answer
 * questions for AAAA, and would hold up each lookup until that has timed out.
 */
const OTHER_FAMILY_MS = 3_000;

/** Of one family; what is beyond is left out. */
const ADDRESSES_MAX = 256;

/** The addresses of one host. */
export type HostAnswer = Found<{
  /** Canonical, no two the same, IPv4 first; at least one. */
  readonly ips: readonly string[];
  readonly ttlMs: number;
  /** What did not answer, and is there as it was known before. */
  readonly missing: readonly string[];
}>;

/** One family's part of an answer. */
type FamilyAnswer = Found<{ readonly ips: readonly string[]; readonly ttlMs: number }>;

const recordTypes = { inet: 'A', inet6: 'AAAA' } as const;

/**
 * Looks one host up, again and again: in hosts(5) first, then, where it is not listed, in DNS under the names of
 * the search list. Not by getaddrinfo(3): that tells no TTL, waits as long as it likes, cannot be cancelled, and
 * holds one of four threads meanwhile. What is lost are the other sources of nsswitch.conf(5).
 */
export class HostLookup {
  /** What each record type of each complete name had when it last answered. */
  private known = new Map<string, readonly string[]>();

  /** @param host in lower case; with a dot at the end it is complete */
  constructor(
    private readonly host: string,
    private readonly sources: HostSources,
  ) {}

  /** Never rejects. */
  async run(client: DnsClient): Promise<HostAnswer> {
    const bare = withoutDot(this.host);
    const listed = canonical(await this.sources.hosts.find(bare));
    if (listed.length > 0) return fixed(listed);
    // RFC 6761 §6.3: never a question for DNS.
    if (bare === 'localhost' || bare.endsWith('.localhost')) return fixed(['127.0.0.1', '::1']);
    return this.search(client);
  }

  /**
   * Asks for one candidate after the other until one has addresses. It ends as well where a resolver fails:
   * whether the name exists is then not known, and a name further down the list may be another host.
   */
  private async search(client: DnsClient): Promise<HostAnswer> {
    let outcome: LookupFailure = 'not_found';
    for (const name of await this.sources.search.candidates(this.host)) {
      const answer = await this.ask(client, name);
      if (answer.outcome === 'answered' || !isDefinite(answer.outcome)) return answer;
      if (answer.outcome === 'empty') outcome = 'empty';
    }
    return { outcome };
  }

  /** Asks for all families of one complete name at once. */
  private async ask(client: DnsClient, name: string): Promise<HostAnswer> {
    const families = this.sources.families();
    const answers = await askAll(client, name, families);
    const failures = answers.flatMap(({ outcome }) => (outcome === 'answered' ? [] : [outcome]));
    if (failures.length === answers.length) {
      return { outcome: failures.find((one) => !isDefinite(one)) ?? definite(failures) };
    }
    return this.merge(name, families, answers);
  }

  /** Some family answered: one whose resolver failed meanwhile has what it had before. */
  private merge(
    name: string,
    families: readonly Family[],
    answers: readonly FamilyAnswer[],
  ): HostAnswer {
    const known = new Map<string, readonly string[]>();
    const missing: string[] = [];
    let ttlMs = Number.POSITIVE_INFINITY;
    for (const [index, answer] of answers.entries()) {
      const question = `${recordTypes[families[index]!]} ${name}`;
      if (answer.outcome === 'answered') {
        known.set(question, answer.ips);
        ttlMs = Math.min(ttlMs, answer.ttlMs);
      } else if (!isDefinite(answer.outcome)) {
        known.set(question, this.known.get(question) ?? []);
        missing.push(question);
      }
    }
    this.known = known;
    return { outcome: 'answered', ips: [...known.values()].flat(), ttlMs, missing };
  }
}

/** @returns in the order of the families: who is too late has timed out */
async function askAll(
  client: DnsClient,
  name: string,
  families: readonly Family[],
): Promise<FamilyAnswer[]> {
  const others = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const answers = await Promise.all(
    families.map(async (family) => {
      const answer = usable(await client.addresses(name, family, others.signal));
      if (answer.outcome === 'answered')
        timer ??= setTimeout(() => others.abort(), OTHER_FAMILY_MS);
      return answer;
    }),
  );
  clearTimeout(timer);
  return answers;
}

/** @param failures `empty` and `not_found` only: a name with any record at all exists */
function definite(failures: readonly LookupFailure[]): LookupFailure {
  return failures.includes('empty') ? 'empty' : 'not_found';
}

function fixed(ips: readonly string[]): HostAnswer {
  return { outcome: 'answered', ips, ttlMs: HOSTS_TTL_MS, missing: [] };
}

function usable(found: Found<{ records: AddressRecord[] }>): FamilyAnswer {
  if (found.outcome !== 'answered') return found;
  // Resolvers rotate their answers: sorted, what is cut off stays the same.
  const ips = canonical(found.records.map(({ address }) => address)).sort();
  ips.splice(ADDRESSES_MAX);
  if (ips.length === 0) return { outcome: 'empty' };
  const ttls = found.records.flatMap(({ ttl }) => ttl ?? []);
  return { outcome: 'answered', ips, ttlMs: 1000 * Math.min(...ttls) };
}

function canonical(ips: readonly string[]): string[] {
  const spelled = ips.map(canonicalIp).filter((ip) => ip !== undefined);
  return [...new Set(spelled)];
}
