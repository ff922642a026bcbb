import type { PacketAddress } from './packet-address.js';
import type { PcapngBlocks } from './pcapng.js';

/** RFC 9293 §3.1 */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16 } as const;

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
/** Maximum segment size (RFC 9293 §3.7.1) and window scale (RFC 7323), with what makes them whole words. */
const SYN_OPTION_BYTES = 8;
const IPPROTO_TCP = 6;
const WINDOW = 0xffff;
const WINDOW_SHIFT = 14;
const HOP_LIMIT = 64;

/** One end of the connection: who, and what it has sent. */
export interface Sender {
  readonly address: PacketAddress;
  /** Of the next byte. */
  sequence: number;
  /** Of the next packet (RFC 791). */
  identification: number;
}

/**
 * Makes the segments of one TCP connection, with the headers and checksums they would have had. Every segment
 * acknowledges all that the other side has sent before it.
 */
export class TcpSegments {
  private readonly isIpv6: boolean;
  /** Bytes of a segment without options. */
  readonly segmentBytesMax: number;

  /** @param mtu bytes of a packet at most */
  constructor(
    private readonly blocks: PcapngBlocks,
    one: Sender,
    mtu: number,
  ) {
    this.isIpv6 = one.address.ip.length === 16;
    this.segmentBytesMax = mtu - this.ipHeaderBytes - TCP_HEADER_BYTES;
  }

  /**
   * Puts one segment into the file.
   *
   * @param read fills in the payload, `length` bytes of it
   */
  put(
    timeUs: number,
    from: Sender,
    to: Sender,
    flags: number,
    length = 0,
    read?: (payload: Buffer) => void,
  ): void {
    const isSyn = (flags & TcpFlag.SYN) !== 0;
    const headerBytes = TCP_HEADER_BYTES + (isSyn ? SYN_OPTION_BYTES : 0);
    const tcpBytes = headerBytes + length;
    const packet = this.blocks.packet(timeUs, this.ipHeaderBytes + tcpBytes);
    this.writeIp(packet, from, to, tcpBytes);
    const tcp = packet.subarray(this.ipHeaderBytes);
    tcp.writeUInt16BE(from.address.port, 0);
    tcp.writeUInt16BE(to.address.port, 2);
    tcp.writeUInt32BE(from.sequence, 4);
    tcp.writeUInt32BE((flags & TcpFlag.ACK) === 0 ? 0 : to.sequence, 8);
    tcp[12] = (headerBytes / 4) << 4;
    tcp[13] = flags;
    tcp.writeUInt16BE(WINDOW, 14);
    tcp.writeUInt32BE(0, 16);
    if (isSyn) this.writeOptions(tcp);
    read?.(tcp.subarray(headerBytes));
    tcp.writeUInt16BE(this.checksum(tcp, from, to), 16);
    const counted = length + ((flags & (TcpFlag.SYN | TcpFlag.FIN)) === 0 ? 0 : 1);
    from.sequence = (from.sequence + counted) >>> 0;
  }

  private get ipHeaderBytes(): number {
    return this.isIpv6 ? IPV6_HEADER_BYTES : IPV4_HEADER_BYTES;
  }

  private writeIp(packet: Buffer, from: Sender, to: Sender, tcpBytes: number): void {
    if (this.isIpv6) {
      packet.writeUInt32BE(0x60000000, 0);
      packet.writeUInt16BE(tcpBytes, 4);
      packet[6] = IPPROTO_TCP;
      packet[7] = HOP_LIMIT;
      from.address.ip.copy(packet, 8);
      to.address.ip.copy(packet, 24);
      return;
    }
    packet[0] = 0x45;
    packet[1] = 0;
    packet.writeUInt16BE(IPV4_HEADER_BYTES + tcpBytes, 2);
    packet.writeUInt16BE(from.identification, 4);
    from.identification = (from.identification + 1) & 0xffff;
    // Don't fragment.
    packet.writeUInt16BE(0x4000, 6);
    packet[8] = HOP_LIMIT;
    packet[9] = IPPROTO_TCP;
    packet.writeUInt16BE(0, 10);
    from.address.ip.copy(packet, 12);
    to.address.ip.copy(packet, 16);
    packet.writeUInt16BE(folded(sum(packet, IPV4_HEADER_BYTES)), 10);
  }

  private writeOptions(tcp: Buffer): void {
    tcp.writeUInt32BE(0x02040000 + this.segmentBytesMax, TCP_HEADER_BYTES);
    // Behind a no-operation.
    tcp.writeUInt32BE(0x01030300 + WINDOW_SHIFT, TCP_HEADER_BYTES + 4);
  }

  /** RFC 9293 §3.1: with a pseudo-header of the addresses, the protocol and the length. */
  private checksum(tcp: Buffer, from: Sender, to: Sender): number {
    const { ip } = from.address;
    const addresses = sum(ip, ip.length) + sum(to.address.ip, ip.length);
    return folded(addresses + IPPROTO_TCP + tcp.length + sum(tcp, tcp.length));
  }
}

/** The 16-bit words of a buffer, added up; the last byte of an odd number is the upper half of a word. */
function sum(bytes: Buffer, length: number): number {
  let total = 0;
  const even = length & ~1;
  for (let at = 0; at < even; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  return even === length ? total : total + (bytes[even]! << 8);
}

/** The complement of the sum in ones' complement arithmetic (RFC 1071). */
function folded(total: number): number {
  let rest = total;
  while (rest > 0xffff) rest = Math.floor(rest / 0x10000) + (rest & 0xffff);
  return ~rest & 0xffff;
}
