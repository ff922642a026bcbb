import { Resolver } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { type Failed, type Found, failureOf } from './outcome.js';

export type Family = 'inet' | 'inet6';

/**
 * One server gets this long to answer at first, then the next one is asked, and all of them once more with up to twice
 * the time. Node looks at c-ares's clock once a second: with one server a question is asked again after 2 s, and given
 * up after 4 or 5.
 */
const TRY_TIMEOUT_MS = 1500;
const TRIES = 2;

export interface AddressRecord {
  readonly address: string;
  /** Seconds; the least of the record and the CNAMEs that led to it. Node 20 gives it to the first 256 only. */
  readonly ttl: number | undefined;
}

export interface ServiceRecord {
  /** Lower is better. */
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** The target, without a dot at its end; empty for the root. */
  readonly name: string;
}

/**
 * DNS queries of one lookup. Each has a resolver of its own: c-ares judges a resolver's servers by their first answers,
 * and would give one that had three names at hand a quarter of a second for a fourth that it has to look for. So
 * /etc/resolv.conf is read anew as well, nothing is remembered, and cancelling touches no other lookup. Sockets are held
 * only while a query is under way. Truncated answers are asked for again over TCP (c-ares does).
 */
export class DnsClient {
  private readonly underWay = new Set<Resolver>();
  private isCancelled = false;

  /** @param servers `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`; those of resolv.conf(5) by default */
  constructor(private readonly servers?: readonly string[]) {}

  /** @throws TypeError when a server is not an address */
  static check(servers: readonly string[]): void {
    new Resolver().setServers(servers);
  }

  /**
   * A or AAAA records of exactly this name.
   *
   * @param signal ends it: it has timed out
   */
  addresses(
    host: string,
    family: Family,
    signal?: AbortSignal,
  ): Promise<Found<{ records: AddressRecord[] }>> {
    return this.query(
      (resolver) =>
        family === 'inet'
          ? resolver.resolve4(host, { ttl: true })
          : resolver.resolve6(host, { ttl: true }),
      signal,
    );
  }

  /** SRV records of exactly this name. Their TTL is not to be had from c-ares. */
  services(service: string): Promise<Found<{ records: ServiceRecord[] }>> {
    return this.query((resolver) => resolver.resolveSrv(service));
  }

  /** Ends all queries; they, and those still to come, have timed out. */
  cancel(): void {
    this.isCancelled = true;
    for (const resolver of this.underWay) resolver.cancel();
  }

  private async query<Item>(
    ask: (resolver: Resolver) => Promise<Item[]>,
    signal?: AbortSignal,
  ): Promise<Found<{ records: Item[] }>> {
    if (this.isCancelled || signal?.aborted) return { outcome: 'timeout' };
    const resolver = new Resolver({ timeout: TRY_TIMEOUT_MS, tries: TRIES });
    if (this.servers !== undefined) resolver.setServers(this.servers);
    this.underWay.add(resolver);
    signal?.addEventListener('abort', () => resolver.cancel());
    try {
      const records = await ask(resolver);
      return records.length > 0 ? { outcome: 'answered', records } : failed(undefined);
    } catch (error) {
      return failed(error);
    } finally {
      this.underWay.delete(resolver);
    }
  }
}

function failed(error: unknown): Failed {
  if (error === undefined) return { outcome: 'empty' };
  return { outcome: failureOf((error as NodeJS.ErrnoException).code) };
}

/**
 * Tells the families this machine can connect to, as getaddrinfo(3) judges with AI_ADDRCONFIG: those with an address
 * that is neither loopback nor link-local. Both when there are none at all; the last ones known while the kernel
 * cannot be asked, which takes a descriptor.
 */
export function configuredFamilies(interfaces = networkInterfaces): () => readonly Family[] {
  let known: readonly Family[] = ['inet', 'inet6'];
  return () => {
    try {
      known = familiesOf(interfaces());
    } catch {
      // EMFILE or ENFILE: it is asked again at the next lookup.
    }
    return known;
  };
}

function familiesOf(interfaces: ReturnType<typeof networkInterfaces>): readonly Family[] {
  const addresses = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address));
  const families: Family[] = [];
  if (addresses.some(({ family }) => family === 'IPv4')) families.push('inet');
  if (addresses.some(({ family }) => family === 'IPv6')) families.push('inet6');
  return families.length > 0 ? families : ['inet', 'inet6'];
}
