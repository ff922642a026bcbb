import { type Network, NetworkSet } from '../../network-set.js';
import { AddressBytes } from './address-bytes.js';

/**
 * Networks that are not the public Internet's (RFC 6890, RFC 4193, RFC 4291): this machine, its neighbours, private
 * ones, multicast, and those of IPv6 in which an address of IPv4 is hidden.
 */
const notPublic: readonly (readonly [hex: string, prefixBits: number])[] = [
  ['00000000', 8],
  ['0a000000', 8],
  ['64400000', 10],
  ['7f000000', 8],
  ['a9fe0000', 16],
  ['ac100000', 12],
  ['c0000000', 24],
  ['c0000200', 24],
  ['c0a80000', 16],
  ['c6120000', 15],
  ['c6336400', 24],
  ['cb007100', 24],
  ['e0000000', 3],
  ['00000000000000000000000000000000', 96],
  ['0064ff9b000000000000000000000000', 96],
  ['0064ff9b000100000000000000000000', 48],
  ['01000000000000000000000000000000', 64],
  ['20010000000000000000000000000000', 23],
  ['20010db8000000000000000000000000', 32],
  ['20020000000000000000000000000000', 16],
  ['fc000000000000000000000000000000', 7],
  ['fe800000000000000000000000000000', 10],
  ['fec00000000000000000000000000000', 10],
  ['ff000000000000000000000000000000', 8],
];

const insiders = new NetworkSet(
  notPublic.map(([hex, prefixBits]) => ({ bytes: [...Buffer.from(hex, 'hex')], prefixBits })),
);

/** Of the one that is being looked at. */
const address = new AddressBytes();

/**
 * Where a name may lead that nobody has listed. Whoever may choose the name may choose the address, and what a name
 * leads to can be another address a moment later (DNS rebinding): what counts is the address that is connected to.
 */
export class ResolvedNetworks {
  private readonly allowed: NetworkSet | undefined;

  /** @param networks exactly these; null: the public Internet */
  constructor(networks: readonly Network[] | null) {
    this.allowed = networks === null ? undefined : new NetworkSet(networks);
  }

  /** @param ip without brackets or zone; anything else is refused */
  has(ip: string): boolean {
    if (!address.read(ip)) return false;
    return this.allowed === undefined ? !address.isIn(insiders) : address.isIn(this.allowed);
  }
}
