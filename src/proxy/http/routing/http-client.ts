import type { SocketAddress } from '../../../splice/index.js';
import type { NetworkSet } from '../../network-set.js';
import { HeaderName, type RequestHead } from '../message/index.js';
import {
  firstElement,
  forwardedHosts,
  forwardedProto,
  type HostAddress,
  readHost,
} from './forwarding.js';

/** What is known of a connection before its first request, the same for all of them. */
export interface ConnectionFacts {
  /** Who connected, or who a PROXY header says did; undefined for one that has gone already. */
  readonly source: SocketAddress | undefined;
  readonly scheme: 'http' | 'https';
  /** From the ClientHello, lower case; undefined without TLS and for a client that sent none. */
  readonly serverName: string | undefined;
  /** Of the client's certificate, RFC 2253; undefined for a client without one. */
  readonly tlsSubject: string | undefined;
  /** `TLSv1.3`; undefined without TLS. */
  readonly tlsVersion: string | undefined;
}

/**
 * Who the requests of one connection come from: its peer, or whom a trusted proxy names. One for each
 * connection.
 */
export class HttpClient {
  /** Of the peer; empty for that of a Unix socket. */
  readonly peerIp: string;
  /** 0 for the peer of a Unix socket. */
  readonly peerPort: number;
  /** The peer is a proxy whose word is believed. */
  readonly isTrusted: boolean;
  /** The client of the request at hand, as text; empty when it has no address. */
  ip: string;
  scheme: 'http' | 'https';
  /**
   * Field lines about the peer, the same for all its requests, and whether they were written before: they
   * are made for whoever stays. Belongs to who writes them.
   */
  peerLines: Buffer | undefined;
  wasTold = false;
  /** The peer's address; made when somebody asks for it. */
  private peer: HostAddress | undefined;
  /** The client's, where a proxy has named it. */
  private named: HostAddress | undefined;

  /** @param trusted networks of proxies in front */
  constructor(
    readonly facts: ConnectionFacts,
    private readonly trusted: NetworkSet,
  ) {
    const { source, scheme } = facts;
    this.peerIp = source === undefined ? '' : hostText(source);
    this.peerPort = source === undefined || source.family === 'unix' ? 0 : source.port;
    this.isTrusted = !trusted.isEmpty && this.isWithin(trusted);
    this.ip = this.peerIp;
    this.scheme = scheme;
  }

  /** Finds out whom a request comes from; for peers nobody trusts that is known already. */
  identify(head: RequestHead): void {
    if (!this.isTrusted) return;
    this.named = undefined;
    for (const host of forwardedHosts(head)) {
      this.named = host;
      if (!contains(this.trusted, host)) break;
    }
    this.ip = this.named?.text ?? this.peerIp;
    const proto =
      firstElement(head, HeaderName.x_forwarded_proto)?.toLowerCase() ?? forwardedProto(head);
    this.scheme = proto === 'https' || proto === 'http' ? proto : this.facts.scheme;
  }

  /** Whether the client's address is in the set; one without an address is in none. */
  isWithin(networks: NetworkSet): boolean {
    const { host } = this;
    return host !== undefined && contains(networks, host);
  }

  /** The client's address, 4 or 16 bytes; undefined when it has none. */
  get address(): Buffer | undefined {
    return this.host?.bytes;
  }

  /** The same as `ip`. */
  private get host(): HostAddress | undefined {
    if (this.named !== undefined || this.peerIp === '') return this.named;
    this.peer ??= readHost(this.peerIp);
    return this.peer;
  }
}

function contains(networks: NetworkSet, { bytes }: HostAddress): boolean {
  return networks.has(bytes, 0, bytes.length as 4 | 16);
}

/** An address without its port; empty for that of a Unix socket. */
export function hostText(address: SocketAddress): string {
  return address.family === 'unix' ? '' : withoutZone(address);
}

/** The zone of an IPv6 address means something to this host alone (RFC 4007 §6). */
function withoutZone({ family, host }: { family: 'inet' | 'inet6'; host: string }): string {
  return family === 'inet' ? host : host.replace(/%.*$/, '');
}
