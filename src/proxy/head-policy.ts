import { hostLength, hostOffset, type Kernel, peerSockaddr } from '../splice/index.js';
import { NetworkSet } from './network-set.js';
import type { ListenerSnapshot } from './snapshot.js';
import { type ClientHello, type ExpectedHead, ServerNames, type StreamName } from './tcp/index.js';
import type { Upstream } from './upstream/index.js';

const NOTHING: ExpectedHead = { proxyHeader: false, clientHello: false };

/** What a listener wants to know of a stream before it is connected on, and what follows from it. */
export class HeadPolicy {
  private readonly trusted: ExpectedHead;
  private readonly others: ExpectedHead;
  private readonly senders: NetworkSet;
  private readonly names: ServerNames | undefined;

  /** Positions of the routes' upstreams, in their order; one alone when there are none. */
  private readonly targets: readonly number[];

  private constructor(
    { acceptProxyFrom = [], routes, tls, upstream }: ListenerSnapshot,
    private readonly upstreams: readonly Upstream[],
  ) {
    this.targets = (routes ?? [{ upstream }]).map((route) => route.upstream);
    this.senders = new NetworkSet(acceptProxyFrom);
    this.names = routes && new ServerNames(routes);
    // Where TLS ends here it is the handshake that says what routes go by.
    const clientHello = routes !== undefined && tls === undefined;
    this.trusted = { proxyHeader: true, clientHello };
    this.others = clientHello ? { proxyHeader: false, clientHello } : NOTHING;
  }

  /**
   * @param upstreams of the worker, in the order of its snapshot; when names lead elsewhere others take their places
   * @returns nothing for a listener that connects every stream on unseen
   */
  static of(snapshot: ListenerSnapshot, upstreams: readonly Upstream[]): HeadPolicy | undefined {
    const { routes, acceptProxyFrom } = snapshot;
    if (routes === undefined && acceptProxyFrom === undefined) return undefined;
    return new HeadPolicy(snapshot, upstreams);
  }

  /**
   * Which heads a connection begins with: a PROXY header if its peer is a trusted sender. Nobody
   * else's is believed.
   *
   * @param fd a connected socket
   * @returns nothing when there is none to be read
   */
  expected(kernel: Kernel, fd: number): ExpectedHead | undefined {
    const expected = this.isTrusted(kernel, fd) ? this.trusted : this.others;
    return expected === NOTHING ? undefined : expected;
  }

  /**
   * @param hello nothing where none was expected
   * @returns where the stream goes, or a negative rejection
   */
  route(hello: ClientHello | undefined): Upstream | number {
    if (this.names === undefined || hello === undefined) return this.targetOf(0);
    const index = this.names.find(hello);
    return index < 0 ? index : this.targetOf(index);
  }

  /**
   * @param named what the TLS handshake was about
   * @returns where the stream goes, or a negative rejection; nothing where there are no routes
   */
  routeBy(named: StreamName): Upstream | number | undefined {
    if (this.names === undefined) return undefined;
    const index = this.names.find(named);
    return index < 0 ? index : this.targetOf(index);
  }

  private targetOf(route: number): Upstream {
    return this.upstreams[this.targets[route]!]!;
  }

  private isTrusted(kernel: Kernel, fd: number): boolean {
    if (this.senders.isEmpty) return false;
    const sockaddr = peerSockaddr(kernel, fd);
    const offset = sockaddr === undefined ? -1 : hostOffset(sockaddr);
    return offset >= 0 && this.senders.has(sockaddr!, offset, hostLength(offset));
  }
}
