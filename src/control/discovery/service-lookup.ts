import { withoutDot } from '../../config/index.js';
import type { DnsClient, ServiceRecord } from './dns-client.js';
import type { FoundEndpoint } from './endpoint.js';
import { type HostAnswer, HostLookup } from './host-lookup.js';
import type { HostSources } from './host-sources.js';
import type { Failed, Found } from './outcome.js';

/** c-ares does not tell the TTL of SRV records: they are believed as long as their targets' addresses, at most this. */
const SERVICE_TTL_MS_MAX = 30_000;
/** A target that did not answer is asked for again, with all others, after this long. */
const MISSING_TTL_MS = 5_000;
/** Of one service; what is beyond is left out, highest tiers first. */
const TARGETS_MAX = 128;
const ENDPOINTS_MAX = 512;
/** Asked for at a time. */
const CONCURRENCY = 8;

export type ServiceAnswer = Found<{
  readonly endpoints: readonly FoundEndpoint[];
  readonly ttlMs: number;
  /** Targets that did not answer: they are there as they were known before, if they were. */
  readonly missing: readonly string[];
}>;

/** Looks one service up, again and again: its SRV records (RFC 2782), then the addresses of their targets. */
export class ServiceLookup {
  /** By target, as long as the SRV records name it. */
  private targets = new Map<string, Target>();

  constructor(
    private readonly service: string,
    private readonly sources: HostSources,
  ) {}

  /** Never rejects. */
  async run(client: DnsClient): Promise<ServiceAnswer> {
    const found = await client.services(this.service);
    if (found.outcome !== 'answered') return found;
    const records = usable(found.records);
    if (records.length === 0) return { outcome: 'empty' };
    this.targets = new Map(records.map(({ name }) => [name, this.target(name)]));
    const targets = [...this.targets.values()];
    await resolveAll(targets, client);
    const [failure, ...more] = targets.flatMap(({ answer }) => (isAnswer(answer) ? [] : [answer]));
    // No target answered: the first one's reason stands for all.
    return failure !== undefined && more.length === targets.length - 1
      ? failure
      : this.compose(records);
  }

  private target(name: string): Target {
    return this.targets.get(name) ?? new Target(new HostLookup(`${name}.`, this.sources));
  }

  private compose(records: readonly ServiceRecord[]): ServiceAnswer {
    const priorities = [...new Set(records.map(({ priority }) => priority))];
    const endpoints = new Map<string, FoundEndpoint>();
    for (const { name, port, priority, weight } of records) {
      for (const ip of this.targets.get(name)!.ips) {
        const found: FoundEndpoint = {
          ip,
          port,
          // 0 means "hardly ever", which is what 1 means beside weights of usual size.
          weight: Math.max(1, weight),
          tier: priorities.indexOf(priority),
          host: name,
        };
        // Named twice it counts once, in its best tier: records come lowest priority first.
        const key = `${ip} ${port}`;
        if (!endpoints.has(key)) endpoints.set(key, found);
      }
    }
    const missing = [...this.targets].flatMap(([name, { answer }]) =>
      isWhole(answer) ? [] : [name],
    );
    const ttls = [...this.targets.values()].map(({ ttlMs }) => ttlMs);
    const ttlMs = Math.min(SERVICE_TTL_MS_MAX, ...ttls);
    const some = [...endpoints.values()].slice(0, ENDPOINTS_MAX);
    return { outcome: 'answered', endpoints: some, ttlMs, missing };
  }
}

/** What can be connected to, in an order that does not depend on the answer's: what is cut off stays the same. */
function usable(records: readonly ServiceRecord[]): ServiceRecord[] {
  return (
    records
      .map((record) => ({ ...record, name: withoutDot(record.name.toLowerCase()) }))
      // A target "." says that the service is decidedly not offered.
      .filter(({ name, port }) => name !== '' && port !== 0)
      .sort(byPriorityAndName)
      .slice(0, TARGETS_MAX)
  );
}

function byPriorityAndName(one: ServiceRecord, other: ServiceRecord): number {
  if (one.priority !== other.priority) return one.priority - other.priority;
  if (one.name !== other.name) return one.name < other.name ? -1 : 1;
  return one.port - other.port;
}

/** The host an SRV record leads to. */
class Target {
  /** As last answered. */
  ips: readonly string[] = [];
  answer: HostAnswer = { outcome: 'timeout' };

  constructor(private readonly lookup: HostLookup) {}

  get ttlMs(): number {
    return this.answer.outcome === 'answered' ? this.answer.ttlMs : MISSING_TTL_MS;
  }

  async resolve(client: DnsClient): Promise<void> {
    this.answer = await this.lookup.run(client);
    if (this.answer.outcome === 'answered') this.ips = this.answer.ips;
  }
}

function isAnswer(answer: HostAnswer): answer is Exclude<HostAnswer, Failed> {
  return answer.outcome === 'answered';
}

function isWhole(answer: HostAnswer): boolean {
  return isAnswer(answer) && answer.missing.length === 0;
}

async function resolveAll(targets: readonly Target[], client: DnsClient): Promise<void> {
  const waiting = targets.values();
  const worker = async () => {
    for (const target of waiting) await target.resolve(client);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}
