import { NetworkSet } from '../network-set.js';
import { HttpRoute } from './http-route.js';
import type { HttpSnapshot, RequestIdPolicy } from './http-snapshot.js';
import { type HeadWriter, type RequestHead, TrailerNames } from './message/index.js';
import {
  DirectAnswer,
  droppedNames,
  keptRequestId,
  type RequestContext,
  type RequestIds,
} from './rewriting/index.js';
import { RouteCounters } from './route-counters.js';
import { RouteParts } from './route-parts.js';
import {
  CanonicalPath,
  type ConnectionFacts,
  findCookie,
  HttpClient,
  Router,
  Routing,
} from './routing/index.js';
import type { Target } from './split.js';

/** One for all listeners of the worker: a path is looked at while its head is. */
const path = new CanonicalPath();

/**
 * What one listener of a worker does with requests, compiled from its configuration: which route they
 * take, and all that rewriting asks about the request at hand. What it knows of a request holds until
 * the next {@link begin} or {@link resume}, and as long as the head does.
 */
export class HttpPolicy implements RequestContext {
  readonly routes: readonly HttpRoute[];
  readonly path = path;
  head!: RequestHead;
  client!: HttpClient;
  /** The route of the request; nothing where none fits. */
  route: HttpRoute | undefined;
  /** What answers the request without an upstream; nothing where it is forwarded. */
  answer: DirectAnswer | undefined;
  /** Where the request goes, once it was chosen; nothing for one that is answered here. */
  target: Target | undefined;
  stickyValue: string | undefined;
  isStickyNew = false;
  /** Trailer fields that a request must not have. */
  readonly trailers: TrailerNames;
  private readonly noRouteCounters: RouteCounters;
  private readonly router: Router;
  private readonly trusted: NetworkSet;
  private readonly requestId: RequestIdPolicy;
  private readonly httpsRedirect: DirectAnswer | undefined;
  /** 0 until somebody asks for an id of ours. */
  private sequence = 0;

  /**
   * @param listener its name
   * @param worker position among the workers
   * @param ids of the worker
   */
  constructor(
    http: HttpSnapshot,
    readonly listener: string,
    worker: number,
    private readonly ids: RequestIds,
  ) {
    this.noRouteCounters = new RouteCounters(
      http.noRouteCounters ?? RouteCounters.createMemory(worker + 1),
      worker,
    );
    this.router = new Router(http.routes);
    const parts = new RouteParts();
    this.routes = http.routes.map((_, index) => new HttpRoute(http, index, worker, parts));
    this.trusted = new NetworkSet(http.trustedProxies);
    this.requestId = http.requestId;
    this.trailers = new TrailerNames(guardedNames(http));
    if (http.httpsRedirect !== null) this.httpsRedirect = httpsRedirect(http.httpsRedirect);
  }

  /** What is needed for each connection. */
  clientOf(facts: ConnectionFacts): HttpClient {
    return new HttpClient(facts, this.trusted);
  }

  /**
   * Takes up a request: finds out whom it comes from and which route it takes.
   * @returns the position of {@link route}, or a negative {@link Routing}
   */
  begin(head: RequestHead, client: HttpClient): number {
    this.head = head;
    this.client = client;
    this.sequence = 0;
    this.target = undefined;
    this.stickyValue = undefined;
    this.isStickyNew = false;
    client.identify(head);
    const index = this.router.find(head, client, path);
    this.route = index < 0 ? undefined : this.routes[index];
    this.answer = this.route?.answer;
    if (this.httpsRedirect === undefined || client.scheme === 'https') return index;
    // No route has a say, and none asks for a password that would come in the clear.
    this.route = undefined;
    this.answer = undefined;
    // HTTP/1.0 may leave the Host out.
    if (head.authority === undefined) return Routing.host_missing;
    this.answer = this.httpsRedirect;
    return Routing.none;
  }

  /**
   * Takes up a request again whose head was parsed once more.
   * @param requestNumber what {@link requestNumber} said before
   */
  resume(head: RequestHead, client: HttpClient, route: HttpRoute, requestNumber: number): void {
    this.answer = undefined;
    this.head = head;
    this.client = client;
    this.route = route;
    this.sequence = requestNumber;
    this.target = undefined;
    this.stickyValue = undefined;
    this.isStickyNew = false;
    client.identify(head);
    path.read(head);
  }

  /** Chooses where the request goes. @returns nothing for one that its route answers, and without a route */
  choose(): Target | undefined {
    this.target = this.route?.split?.next();
    const sticky = this.route?.sticky;
    if (this.target !== undefined && sticky !== undefined) {
      // Clients without a value of their own would all be one.
      this.stickyValue = findCookie(this.head, sticky) || undefined;
      this.isStickyNew = this.stickyValue === undefined;
      this.stickyValue ??= this.ids.text(this.requestNumber);
    }
    return this.target;
  }

  /** Where the request is counted. */
  get counters(): RouteCounters {
    return this.route?.counters ?? this.noRouteCounters;
  }

  get routeName(): string {
    return this.route?.name ?? '';
  }

  /** Number of the request among those with ids of ours; one is made when it is first asked for. */
  get requestNumber(): number {
    if (this.sequence === 0) this.sequence = this.ids.next();
    return this.sequence;
  }

  /** The request's id as text, for log lines. */
  get requestIdText(): string {
    const index = this.keptIndex;
    return index >= 0 ? this.head.value(index) : this.ids.text(this.requestNumber);
  }

  writeRequestId(out: HeadWriter): void {
    const { head, keptIndex } = this;
    if (keptIndex < 0) this.ids.write(this.requestNumber, out);
    else out.copy(head.bytes, head.valueStart(keptIndex), head.valueEnd(keptIndex));
  }

  writeRequestIdLine(out: HeadWriter): void {
    this.ids.writeLine(this.requestNumber, out);
  }

  private get keptIndex(): number {
    return this.requestId === 'keep' ? keptRequestId(this.head) : -1;
  }
}

/** Fields that are what a route says, or what we say, and never what a client does. */
function guardedNames({ routes, requestId }: HttpSnapshot): ReadonlySet<string> {
  const names = new Set<string>(requestId === 'off' ? [] : ['x-request-id']);
  for (const { requestHeaders } of routes) {
    for (const name of droppedNames(requestHeaders)) names.add(name);
  }
  return names;
}

function httpsRedirect({ port, status }: { port: number; status: number }): DirectAnswer {
  const to = [
    'https://',
    { variable: 'host' as const },
    ...(port === 443 ? [] : [`:${port}`]),
    { variable: 'uri' as const },
  ];
  const noEdits = { set: [], add: [], remove: [] };
  return new DirectAnswer({ kind: 'redirect', to, status }, noEdits, null);
}

export { Routing };
