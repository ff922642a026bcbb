import { isIPv6 } from 'node:net';
import { type Inet6Address, type InetAddress, parseEndpointAddress } from '../../config/index.js';

/** Where a name leads. */
export interface ResolvedEndpoint {
  readonly address: InetAddress | Inet6Address;
  /** Share of connections among the endpoints of its tier, from 1: an SRV weight, 1 for a host. */
  readonly weight: number;
  /** 0 is used first; those of higher tiers are backups, used when all below are down (RFC 2782 "priority"). */
  readonly tier: number;
  /** The host whose address it is, without a dot at the end: for server names and Host headers. */
  readonly host: string;
}

/** An endpoint as a lookup finds it; a host's gets its port from whoever watches. */
export interface FoundEndpoint extends Omit<ResolvedEndpoint, 'address'> {
  /** The canonical spelling of an IP address, with zone. */
  readonly ip: string;
  readonly port: number | undefined;
}

/** Any port will do where only the host is looked at. */
const ANY_PORT = 1;

/**
 * One spelling per address, undefined for one that nobody can connect to: `0.0.0.0` and `::`, which some
 * resolvers give for names they block, and link-local addresses without a zone.
 */
export function canonicalIp(ip: string): string | undefined {
  const address = toAddress(ip, ANY_PORT);
  if (address === undefined) return undefined;
  return address.family === 'inet6' && address.zone !== undefined
    ? `${address.host}%${address.zone}`
    : address.host;
}

/** @param port for what was found without one */
export function toResolved(found: FoundEndpoint, port: number): ResolvedEndpoint {
  const { ip, weight, tier, host } = found;
  return { address: toAddress(ip, found.port ?? port)!, weight, tier, host };
}

/** Two lists with the same signature hold the same endpoints, each as good as before, in whatever order. */
export function signature(endpoints: readonly ResolvedEndpoint[]): string {
  return endpoints.map(describe).sort().join(' ');
}

/** For log lines and comparison: `192.0.2.1:80`, `[2001:db8::1]:80 weight 5 tier 1`. */
export function describe({ address, weight, tier }: ResolvedEndpoint): string {
  const rank = tier === 0 ? '' : ` tier ${tier}`;
  return weight === 1 ? `${address.text}${rank}` : `${address.text} weight ${weight}${rank}`;
}

function toAddress(ip: string, port: number): InetAddress | Inet6Address | undefined {
  const isV6 = isIPv6(ip.split('%')[0]!);
  const parsed = parseEndpointAddress(isV6 ? `[${ip}]:${port}` : `${ip}:${port}`);
  return parsed.ok && parsed.value.family !== 'unix' ? parsed.value : undefined;
}
