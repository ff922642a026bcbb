import { Mirror } from '../../mirror/index.js';
import { type ProxiedClient, proxiedClient } from '../../proxy-sender.js';
import type { Upstream } from '../../upstream/index.js';
import type { HttpConnection } from '../connection/index.js';
import type { UpstreamRequest } from '../exchange/index.js';
import { HashKey } from '../hash-key.js';
import type { HttpRoom } from '../http-room.js';
import type { HttpMirrorSnapshot, HttpRouteSnapshot, HttpSnapshot } from '../http-snapshot.js';
import { RequestRewriter } from '../rewriting/index.js';
import type { Target } from '../split.js';
import { RequestShadow } from './request-shadow.js';

/** Tells the shadow what the request is; whatever a client says of it is taken out. */
const MIRRORED = 'X-Mirrored';

/** What one route does for its shadow: which requests are mirrored, and how their heads are written there. */
export class RequestMirror {
  private readonly mirror: Mirror;
  private readonly target: Target;
  private readonly rewriter: RequestRewriter;
  private readonly hash: HashKey | undefined;

  /**
   * @param upstreams of the worker, where another one may take its place
   * @param listener position of its counters
   */
  constructor(
    private readonly room: HttpRoom,
    http: HttpSnapshot,
    route: HttpRouteSnapshot,
    snapshot: HttpMirrorSnapshot,
    upstreams: readonly Upstream[],
    listener: number,
  ) {
    const { name, hostName, host } = snapshot;
    this.mirror = new Mirror(room.worker, snapshot, upstreams, listener);
    this.target = { upstream: snapshot.upstream, name, host: Buffer.from(hostName, 'latin1') };
    this.rewriter = new RequestRewriter(http, shadowed(route, host ?? route.host));
    const { hash: key } = this.mirror.upstream;
    this.hash = key === undefined ? undefined : new HashKey(key);
  }

  /**
   * Begins a copy of the request that the policy has taken up and that is composed already, if it is among
   * those that are mirrored.
   */
  follow(connection: HttpConnection, request: UpstreamRequest): RequestShadow | undefined {
    if (!this.mirror.takesNext()) return undefined;
    const { mirror, hash } = this;
    const { intake, service } = connection;
    const { policy } = service;
    // The request may have come in by the configuration before.
    const upstream = this.room.worker.currentUpstream(mirror.upstream);
    const client = clientOf(connection, upstream);
    if (client === null) return undefined;
    const { target } = policy;
    policy.target = this.target;
    const key = hash === undefined ? 0 : hash.of(policy);
    const shadow = new RequestShadow(this.room, mirror, {
      upstream,
      key,
      client,
      method: policy.head.method,
    });
    shadow.begin();
    if (!request.copyTo(shadow, intake, policy, this.rewriter)) shadow.drop();
    policy.target = target;
    return shadow;
  }
}

/** @returns nothing where the shadow is told of no client; null for one that has reset the connection */
function clientOf(
  connection: HttpConnection,
  upstream: Upstream,
): ProxiedClient | null | undefined {
  const sender = upstream.sendProxyProtocol;
  if (sender === undefined) return undefined;
  const { worker: room, sequence, head, tls } = connection;
  return proxiedClient({ room, sequence, head, tls, client: connection }, sender);
}

/** The route as the shadow's rewriter sees it. */
function shadowed(route: HttpRouteSnapshot, host: HttpRouteSnapshot['host']): HttpRouteSnapshot {
  const { requestHeaders } = route;
  const others = (field: { readonly name: string }) =>
    field.name.toLowerCase() !== MIRRORED.toLowerCase();
  const set = [...requestHeaders.set.filter(others), { name: MIRRORED, value: ['1'] }];
  const add = requestHeaders.add.filter(others);
  return { ...route, host, requestHeaders: { ...requestHeaders, set, add } };
}
