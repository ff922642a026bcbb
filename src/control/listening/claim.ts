import { fstatSync, readFileSync } from 'node:fs';
import { type Address, overlaps, parseListenAddress } from '../../config/index.js';
import type { SocketAddress } from '../../splice/index.js';

/** An address that sockets of this process listen at. */
export interface Claim {
  /** As asked for, with the port that was given. */
  readonly address: Address;
  readonly fds: readonly number[];
}

/** @param bound what the kernel made of `address` */
export function claimedAddress(address: Address, bound: SocketAddress): Address {
  if (address.family === 'unix' || bound.family === 'unix') return address;
  const { port } = bound;
  return { ...address, port, text: address.text.replace(/:\d*$/, `:${port}`) };
}

/** The claims through which a connection to `address` could come, too; none for what is not bound yet. */
export function rivalsOf(address: Address, claims: readonly Claim[]): Claim[] {
  return claims.filter((claim) => overlaps(claim.address, address));
}

/**
 * Whether somebody else listens where a connection to `address` could come in. Asked only where our own
 * sockets are there as well: a bind without SO_REUSEPORT would find those, and say nothing of others.
 *
 * `/proc/net/tcp` has sockets of all users, those that listen first (proc_pid_net(5)).
 */
export function isSharedWithOthers(address: Address, own: readonly Claim[]): boolean {
  if (address.family === 'unix') return false;
  const ours = new Set(own.flatMap(({ fds }) => fds.map((fd) => String(fstatSync(fd).ino))));
  const tables = address.family === 'inet' ? ['tcp'] : ['tcp', 'tcp6'];
  return tables.some((table) =>
    listening(readFileSync(`/proc/self/net/${table}`, 'latin1')).some(
      (other) => !ours.has(other.inode) && overlaps(other.address, address),
    ),
  );
}

const LISTEN = '0A';

function listening(table: string): { address: Address; inode: string }[] {
  return table.split('\n').flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (state !== LISTEN) return [];
    const [host, port] = local!.split(':') as [string, string];
    const parsed = parseListenAddress(`${hostText(host)}:${Number.parseInt(port, 16)}`);
    return parsed.ok ? [{ address: parsed.value, inode: inode! }] : [];
  });
}

/** @param hex words of four bytes, each in the machine's order, which is little-endian where Node runs */
function hostText(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  bytes.swap32();
  if (bytes.length === 4) return bytes.join('.');
  const groups = bytes.toString('hex').match(/.{4}/g)!;
  return `[${groups.join(':')}]`;
}
