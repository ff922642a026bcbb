import { Resolver } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { type Failed, type Found, failureOf } from './outcome.js';

export type Family = 'inet' | 'inet6';

/** One server gets this long to answer, then the next one is asked, then the first once more. */
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
 * DNS queries of one lookup. A lookup has a client of its own, so that /etc/resolv.conf is read anew, nothing is
 * remembered between lookups, and cancelling touches no other. It holds sockets only while a query is under way.
 * Truncated answers are asked for again over TCP (c-ares does).
 */
export class DnsClient {
  private readonly resolver = new Resolver({ timeout: TRY_TIMEOUT_MS, tries: TRIES });
  private isCancelled = false;

  /**
   * @param servers `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`; those of resolv.conf(5) by default
   * @throws TypeError when one is not an address
   */
  constructor(servers?: readonly string[]) {
    if (servers !== undefined) this.resolver.setServers(servers);
  }

  /** A or AAAA records of exactly this name. */
  addresses(host: string, family: Family): Promise<Found<{ records: AddressRecord[] }>> {
    return this.query(() =>
      family === 'inet'
        ? this.resolver.resolve4(host, { ttl: true })
        : this.resolver.resolve6(host, { ttl: true }),
    );
  }

  /** SRV records of exactly this name. Their TTL is not to be had from c-ares. */
  services(service: string): Promise<Found<{ records: ServiceRecord[] }>> {
    return this.query(() => this.resolver.resolveSrv(service));
  }

  /** Ends all queries; they, and those still to come, have timed out. */
  cancel(): void {
    this.isCancelled = true;
    this.resolver.cancel();
  }

  private async query<Item>(ask: () => Promise<Item[]>): Promise<Found<{ records: Item[] }>> {
    if (this.isCancelled) return { outcome: 'timeout' };
    try {
      const records = await ask();
      return records.length > 0 ? { outcome: 'answered', records } : failed(undefined);
    } catch (error) {
      return failed(error);
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
