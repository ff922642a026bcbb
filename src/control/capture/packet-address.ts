import { isIP } from 'node:net';
import { Sockaddr, SockaddrIn, SockaddrIn6 } from '../../splice/index.js';

/** One end of a TCP connection as packets name it. */
export interface PacketAddress {
  /** 4 bytes, or 16. */
  readonly ip: Buffer;
  readonly port: number;
}

/** RFC 5737: addresses of nobody, which stand for the two ends of a Unix socket. */
const UNIX_CLIENT = '192.0.2.1';
const UNIX_LOCAL = '192.0.2.2';
const UNIX_CLIENT_PORTS_FROM = 49_152;
const UNIX_CLIENT_PORTS = 16_384;
const PORT_MAX = 0xffff;

/**
 * The two ends of a captured connection, both of one family. What has no address gets one: a client of a Unix socket is
 * 192.0.2.1 with a port made of the capture's number, the socket itself 192.0.2.2, port 80 or, for other protocols than
 * HTTP, 1024.
 */
export function packetAddresses(head: {
  readonly id: string;
  readonly client: string;
  readonly local: string;
  readonly protocol: 'tcp' | 'http';
}): { client: PacketAddress; local: PacketAddress } {
  const number = Number.parseInt(head.id.slice(head.id.lastIndexOf('-') + 1), 36);
  const client = parse(head.client) ?? {
    ip: bytesOf(UNIX_CLIENT),
    port: UNIX_CLIENT_PORTS_FROM + (number % UNIX_CLIENT_PORTS),
  };
  const local = parse(head.local) ?? {
    ip: bytesOf(UNIX_LOCAL),
    port: head.protocol === 'http' ? 80 : 1024,
  };
  if (client.ip.length === local.ip.length) return { client, local };
  return { client: mapped(client), local: mapped(local) };
}

function parse(text: string): PacketAddress | undefined {
  const [, host, port] = /^\[?([0-9a-fA-F.:]+)(?:%[^\]]*)?\]?:(\d{1,5})$/.exec(text) ?? [];
  if (host === undefined || isIP(host) === 0 || Number(port) > PORT_MAX) return undefined;
  return { ip: bytesOf(host), port: Number(port) };
}

function bytesOf(host: string): Buffer {
  const family = host.includes(':') ? 'inet6' : 'inet';
  const { bytes } = new Sockaddr({ family, host, port: 0 }).memory;
  return family === 'inet'
    ? bytes.subarray(SockaddrIn.address, SockaddrIn.address + 4)
    : bytes.subarray(SockaddrIn6.address, SockaddrIn6.address + 16);
}

/** RFC 4291 §2.5.5.2 */
function mapped({ ip, port }: PacketAddress): PacketAddress {
  if (ip.length === 16) return { ip, port };
  const bytes = Buffer.alloc(16);
  bytes.fill(0xff, 10, 12);
  ip.copy(bytes, 12);
  return { ip: bytes, port };
}
