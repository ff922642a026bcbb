import { isMapped, MAPPED_OFFSET, readIPv4, readIPv6 } from '../../../splice/index.js';
import type { NetworkSet } from '../../network-set.js';

/** An address that was written as text, as the bytes networks are compared with; read into the same memory each time. */
export class AddressBytes {
  /** An IPv4 address inside an IPv6 one is met as IPv4 by the kernel, and here. */
  isInet6 = false;
  private readonly bytes = Buffer.alloc(16);
  private offset = 0;

  /** @param text without brackets or zone. @returns whether it is an address */
  read(text: string): boolean {
    this.offset = 0;
    this.isInet6 = text.includes(':');
    if (!this.isInet6) return readIPv4(text, this.bytes, 0);
    if (!readIPv6(text, this.bytes, 0)) return false;
    if (isMapped(this.bytes, 0)) {
      this.isInet6 = false;
      this.offset = MAPPED_OFFSET;
    }
    return true;
  }

  isIn(networks: NetworkSet): boolean {
    return networks.has(this.bytes, this.offset, this.isInet6 ? 16 : 4);
  }

  /** Of an IPv4 address. */
  get dotted(): string {
    return this.bytes.subarray(this.offset, this.offset + 4).join('.');
  }
}
