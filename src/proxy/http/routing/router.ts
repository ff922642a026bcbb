import type { HttpRouteSnapshot, MatchSnapshot } from '../http-snapshot.js';
import { type RequestHead, TargetForm } from '../message/index.js';
import type { CanonicalPath } from './canonical-path.js';
import { HostTable } from './host-table.js';
import type { HttpClient } from './http-client.js';
import { NO_ROUTE, PathTrie } from './path-trie.js';
import { RouteTest } from './route-test.js';

/** What {@link Router.find} answers besides the position of a route. */
export const Routing = {
  /** No route fits: 404. */
  none: -1,
  /** The path leads above the root: 400. */
  path_invalid: -2,
  /** The request is to be sent to HTTPS, and names no host to send it to: 400. */
  host_missing: -3,
} as const;

/**
 * Finds the route of a request: the first in the order of the configuration that fits. Hosts lead to
 * tries of paths, of which a request asks as many as its host has labels, at most; what else routes ask
 * for is compared only where host and path fit already. So thousands of routes cost what one does, as
 * long as they differ in host or path. Built once; a look-up allocates nothing but what matching a
 * query, a cookie or an expression takes.
 */
export class Router {
  private readonly hosts = new HostTable(() => new PathTrie());
  private readonly tests: readonly RouteTest[];
  /** 1 for each route that asks for nothing but host and path. */
  private readonly asksNoMore: Uint8Array;
  private readonly found: PathTrie[] = [];
  /** There is only one route, and it takes everything. */
  private readonly isOpen: boolean;
  private readonly asksPath: boolean;
  private head!: RequestHead;
  private client!: HttpClient;

  constructor(routes: readonly Pick<HttpRouteSnapshot, 'match'>[]) {
    this.tests = routes.map(({ match }) => new RouteTest(match));
    this.asksNoMore = Uint8Array.from(this.tests, ({ asksNothing }) => (asksNothing ? 1 : 0));
    for (const [index, { match }] of routes.entries()) {
      for (const host of new Set(match.hosts.length === 0 ? ['*'] : match.hosts)) {
        this.hosts.valueFor(host).add(index, match.paths);
      }
    }
    this.asksPath = routes.some(({ match }) => match.paths.length > 0);
    this.isOpen = !this.asksPath && routes[0] !== undefined && takesAll(routes[0].match);
  }

  /**
   * @param client that {@link HttpClient.identify} was told of the request
   * @param path takes the path in the spelling that is compared
   * @returns the route's position, or a {@link Routing}
   */
  find(head: RequestHead, client: HttpClient, path: CanonicalPath): number {
    const { form } = head.target;
    const hasPath = form === TargetForm.origin || form === TargetForm.absolute;
    if (hasPath && !path.read(head)) return Routing.path_invalid;
    if (this.isOpen) return 0;
    this.head = head;
    this.client = client;
    const length = this.hosts.find(head, this.found);
    let route = NO_ROUTE;
    for (let index = 0; index < length; index++) {
      route = this.found[index]!.first(hasPath ? path : undefined, route, this);
    }
    return route === NO_ROUTE ? Routing.none : route;
  }

  /** The tries' question, whether the rest of a route fits, too. */
  fits(route: number): boolean {
    return this.asksNoMore[route] === 1 || this.tests[route]!.fits(this.head, this.client);
  }
}

function takesAll({
  hosts,
  methods,
  headers,
  query,
  cookies,
  source,
  serverNames,
  tlsSubject,
}: MatchSnapshot): boolean {
  const lists = [hosts, methods, headers, query, cookies, source, serverNames];
  return lists.every((list) => list.length === 0) && tlsSubject === null;
}
