import { NetworkSet } from '../../network-set.js';
import { readIPv4, readIPv6 } from '../../tcp/index.js';
import type { OutboundSnapshot } from '../http-snapshot.js';
import { Method, type RequestHead, Scheme, TargetForm } from '../message/index.js';
import { ResolvedNetworks } from './resolved-networks.js';

const ANY_PORT = 0;
const HTTP_PORT = 80;

/** IPv4 in the clothes of IPv6 (RFC 4291 §2.5.5.2) begins so, and is met as IPv4 by the kernel. */
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

const scratch = Buffer.alloc(16);

/** A target that was written as an address. */
export interface OutboundAddress {
  readonly family: 'inet' | 'inet6';
  readonly host: string;
  readonly port: number;
}

/** A target that was written as a name nobody has listed. */
export interface OutboundName {
  readonly host: string;
  readonly port: number;
  /** Where it may lead. */
  readonly resolvesTo: ResolvedNetworks;
}

/** What is looked up is a name, whatever else clients write (RFC 1123 §2.1; the underscore is everywhere). */
const NAME =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;

/** Where a route lets requests go that say themselves where: CONNECT, and targets in absolute form. */
export class Outbound {
  /** Positions of upstreams by `host:port`. */
  private readonly names: ReadonlyMap<string, number>;
  private readonly networks: ReadonlyMap<number, NetworkSet>;

  private readonly wildcards: NonNullable<OutboundSnapshot['wildcards']>;
  private readonly resolvesTo: ResolvedNetworks;

  constructor({ names, networks, wildcards = [], resolvesTo = null }: OutboundSnapshot) {
    this.wildcards = wildcards;
    this.resolvesTo = new ResolvedNetworks(resolvesTo);
    this.names = new Map(names.map(({ host, port, upstream }) => [`${host}:${port}`, upstream]));
    const ports = new Set(networks.map(({ port }) => port));
    this.networks = new Map(
      [...ports].map((port) => {
        const ofPort = networks.filter((one) => one.port === port);
        return [port, new NetworkSet(ofPort.map(({ network }) => network))];
      }),
    );
  }

  /**
   * Where a request goes.
   * @returns the position of an upstream, an address, a name that is still to be looked up, or nothing: it must not go there, or does not say where
   */
  find(head: RequestHead): number | OutboundAddress | OutboundName | undefined {
    const { target, method, hostName } = head;
    const isTunnel = method === Method.CONNECT;
    // For https a client has to ask for a tunnel: only it can know whom to trust.
    const isPlain = target.form === TargetForm.absolute && target.scheme === Scheme.http;
    if (!isTunnel && !isPlain) return undefined;
    const port = target.authority.port < 0 ? HTTP_PORT : target.authority.port;
    const isInet6 = hostName.startsWith('[');
    const host = isInet6 ? hostName.slice(1, -1) : hostName;
    if (!isInet6 && !readIPv4(host, scratch, 0)) {
      return this.names.get(`${host}:${port}`) ?? this.findName(host, port);
    }
    if (isInet6 && !readIPv6(host, scratch, 0)) return undefined;
    const isMapped = isInet6 && scratch.compare(MAPPED, 0, MAPPED.length, 0, MAPPED.length) === 0;
    const offset = isMapped ? MAPPED.length : 0;
    const length = isInet6 && !isMapped ? 16 : 4;
    if (!this.reaches(port, offset, length) && !this.reaches(ANY_PORT, offset, length)) {
      return undefined;
    }
    if (length === 16) return { family: 'inet6', host, port };
    return { family: 'inet', host: scratch.subarray(offset, offset + 4).join('.'), port };
  }

  private findName(host: string, port: number): OutboundName | undefined {
    const fits = this.wildcards.some(
      (one) => host.endsWith(one.suffix) && (one.port === ANY_PORT || one.port === port),
    );
    if (!fits || !NAME.test(host)) return undefined;
    return { host, port, resolvesTo: this.resolvesTo };
  }

  private reaches(port: number, offset: number, length: 4 | 16): boolean {
    return this.networks.get(port)?.has(scratch, offset, length) ?? false;
  }
}
