import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { SocketAddress } from 'node:net';
import type { AdminConfig } from '../../config/index.js';
import { type Reply, refusal } from './reply.js';

/** `Host` of RFC 9110 §7.2: a name or an address, in brackets if it is IPv6, and a port. */
const AUTHORITY = /^(?<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::(?<port>\d{1,5}))?$/i;
const LOOPBACK = /^(127\.|::1$)/;

/**
 * Decides whether a request may come in. Two kinds of strangers reach a loopback address: programs
 * on this machine, for which there is the token, and web pages in a browser on this machine, which
 * have to name us by a name of theirs (DNS rebinding) or say where they come from.
 */
export class Guard {
  private readonly tokenDigest: Buffer | undefined;
  private readonly hosts: ReadonlySet<string>;

  constructor({ token, hosts }: Pick<AdminConfig, 'token' | 'hosts'>) {
    this.tokenDigest = token === null ? undefined : digest(token);
    this.hosts = new Set(hosts.map((host) => host.toLowerCase()));
  }

  /** @returns the answer to a request that is not meant for us, or that a foreign page makes */
  refuseStranger(request: IncomingMessage): Reply | undefined {
    const hosts = request.headersDistinct.host ?? [];
    if (hosts.length !== 1) return refusal(400, 'expected one Host header');
    const host = hosts[0]!.toLowerCase();
    if (!this.isOwn(host, request)) {
      return refusal(421, 'this Host is not the admin endpoint’s; admin.hosts may list it');
    }
    const { origin } = request.headers;
    if (origin === undefined || origin.replace(/^https?:\/\//, '').toLowerCase() === host) return;
    return refusal(403, 'requests of other origins are refused');
  }

  /** @returns the answer to a request that does not know the token */
  refuseWithoutToken(request: IncomingMessage): Reply | undefined {
    if (this.tokenDigest === undefined) return;
    const { authorization = '' } = request.headers;
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization) ?? [];
    // Digests have one length, and their comparison takes one time.
    if (token !== undefined && timingSafeEqual(digest(token), this.tokenDigest)) return;
    const challenge = 'Bearer realm="headgate"';
    return token === undefined
      ? refusal(401, 'expected Authorization: Bearer TOKEN', { 'www-authenticate': challenge })
      : refusal(401, 'the token is not valid', {
          'www-authenticate': `${challenge}, error="invalid_token"`,
        });
  }

  private isOwn(authority: string, { socket }: IncomingMessage): boolean {
    const { host, port } = AUTHORITY.exec(authority)?.groups ?? {};
    if (host === undefined) return false;
    if (this.hosts.has(host) || this.hosts.has(authority)) return true;
    // No browser connects to a unix socket.
    if (socket.localAddress === undefined) return true;
    if (Number(port ?? 80) !== socket.localPort) return false;
    const local = socket.localAddress.replace(/^::ffff:(?=\d+\.)/, '');
    if (LOOPBACK.test(local) && ['localhost', '127.0.0.1', '[::1]'].includes(host)) return true;
    return canonical(host) === local;
  }
}

/** An address as Node spells it; a name stays as it is. */
function canonical(host: string): string {
  if (!host.startsWith('[')) return host;
  try {
    return new SocketAddress({ address: host.slice(1, -1), family: 'ipv6' }).address;
  } catch {
    return host;
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
