import { NetworkSet } from '../../network-set.js';
import type { OutboundSnapshot } from '../http-snapshot.js';
import { Method, type RequestHead, Scheme, TargetForm } from '../message/index.js';
import { AddressBytes } from './address-bytes.js';
import { ResolvedNetworks } from './resolved-networks.js';

const ANY_PORT = 0;
const HTTP_PORT = 80;

/** Of the target that is being looked at. */
const address = new AddressBytes();

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
    const isBracketed = hostName.startsWith('[');
    const host = isBracketed ? hostName.slice(1, -1) : hostName;
    if (!address.read(host)) {
      if (isBracketed) return undefined;
      return this.names.get(`${host}:${port}`) ?? this.findName(host, port);
    }
    if (!this.reaches(port) && !this.reaches(ANY_PORT)) return undefined;
    if (address.isInet6) return { family: 'inet6', host, port };
    return { family: 'inet', host: address.dotted, port };
  }

  private findName(host: string, port: number): OutboundName | undefined {
    const fits = this.wildcards.some(
      (one) => host.endsWith(one.suffix) && (one.port === ANY_PORT || one.port === port),
    );
    if (!fits || !NAME.test(host)) return undefined;
    return { host, port, resolvesTo: this.resolvesTo };
  }

  private reaches(port: number): boolean {
    const networks = this.networks.get(port);
    return networks !== undefined && address.isIn(networks);
  }
}
