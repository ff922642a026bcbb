import { networkInterfaces } from 'node:os';
import type { Address } from '../config/index.js';
import type { SocketAddress } from '../splice/index.js';

/**
 * An address of the configuration as the kernel room takes it.
 *
 * @throws RangeError when an IPv6 zone names no interface of this machine
 */
export function socketAddress(address: Address): SocketAddress {
  switch (address.family) {
    case 'inet':
      return { family: 'inet', host: address.host, port: address.port };
    case 'inet6': {
      const host =
        address.zone === undefined ? address.host : `${address.host}%${scopeId(address.zone)}`;
      return { family: 'inet6', host, port: address.port };
    }
    case 'unix':
      return { family: 'unix', path: address.abstract ? `@${address.path}` : address.path };
  }
}

function scopeId(zone: string): number {
  if (/^\d+$/.test(zone)) return Number(zone);
  const found = networkInterfaces()[zone]?.find(({ family }) => family === 'IPv6');
  if (found === undefined || found.family !== 'IPv6') {
    throw new RangeError(`no interface ${zone} with an IPv6 address on this machine`);
  }
  return found.scopeid;
}
