import { RouteGuard } from './guarding/index.js';
import type { HttpRouteSnapshot, HttpSnapshot } from './http-snapshot.js';
import { DirectAnswer, RequestRewriter, ResponseRewriter } from './rewriting/index.js';
import { RouteCounters } from './route-counters.js';
import { Split } from './split.js';

/** One route of a listener, compiled. */
export class HttpRoute {
  readonly name: string;
  /** Where its requests go; nothing for a route that answers by itself. */
  readonly split: Split | undefined;
  /** What it answers by itself; nothing for a route that forwards. */
  readonly answer: DirectAnswer | undefined;
  /** Name of the cookie that keeps clients at their endpoints. */
  readonly sticky: string | undefined;
  /** Further attempts at other endpoints. */
  readonly retries: number;
  /** Whether it serves a request at all. */
  readonly guard: RouteGuard;
  readonly counters: RouteCounters;
  readonly request: RequestRewriter;
  readonly response: ResponseRewriter;

  /**
   * @param index position in the configuration
   * @param worker position among the workers
   */
  constructor(
    http: HttpSnapshot,
    readonly index: number,
    worker: number,
  ) {
    const route: HttpRouteSnapshot = http.routes[index]!;
    const { action } = route;
    this.name = route.name;
    this.retries = route.retries;
    this.sticky = route.sticky?.cookie;
    this.split = action.kind === 'forward' ? new Split(action, worker) : undefined;
    this.answer =
      action.kind === 'forward'
        ? undefined
        : new DirectAnswer(action, route.responseHeaders, http.hsts);
    this.counters = new RouteCounters(
      route.counters ?? RouteCounters.createMemory(worker + 1),
      worker,
    );
    this.guard = new RouteGuard(route.guard, worker);
    this.request = new RequestRewriter(http, route);
    this.response = new ResponseRewriter(route, http.hsts, this.request);
  }
}
