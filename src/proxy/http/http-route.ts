import { Refusal, type RouteGuard } from './guarding/index.js';
import type { HttpRouteSnapshot, HttpSnapshot, RouteTimeouts } from './http-snapshot.js';
import { Method, type RequestHead } from './message/index.js';
import { Outbound } from './outbound/index.js';
import { DirectAnswer, type RequestRewriter, type ResponseRewriter } from './rewriting/index.js';
import { RouteCounters } from './route-counters.js';
import type { RouteParts } from './route-parts.js';
import type { HttpClient } from './routing/index.js';
import type { Split } from './split.js';

/** One route of a listener, compiled. */
export class HttpRoute {
  readonly name: string;
  /** Where its requests go; nothing for a route that answers by itself. */
  readonly split: Split | undefined;
  /** Where its requests may say they go; nothing for a route that knows where they go. */
  readonly outbound: Outbound | undefined;
  /** What it always answers; nothing for a route that forwards, and for one that serves files. */
  readonly answer: DirectAnswer | undefined;
  /** Name of the cookie that keeps clients at their endpoints. */
  readonly sticky: string | undefined;
  /** Further attempts at other endpoints. */
  readonly retries: number;
  /** Absent: those of the worker. */
  readonly timeouts: RouteTimeouts | undefined;
  /** Whether it serves a request at all. */
  readonly guard: RouteGuard;
  readonly counters: RouteCounters;
  readonly request: RequestRewriter;
  readonly response: ResponseRewriter;

  /**
   * @param index position in the configuration
   * @param worker position among the workers
   * @param parts of the listener
   */
  constructor(
    http: HttpSnapshot,
    readonly index: number,
    worker: number,
    parts: RouteParts,
  ) {
    const route: HttpRouteSnapshot = http.routes[index]!;
    const { action } = route;
    this.name = route.name;
    this.retries = route.retries;
    this.timeouts = route.timeouts ?? undefined;
    this.sticky = route.sticky?.cookie;
    this.split = action.kind === 'forward' ? parts.splitOf(action, worker) : undefined;
    this.outbound = action.kind === 'outbound' ? new Outbound(action) : undefined;
    this.answer =
      action.kind === 'redirect' || action.kind === 'respond'
        ? new DirectAnswer(action, route.responseHeaders, http.hsts)
        : undefined;
    this.counters = new RouteCounters(
      route.counters ?? RouteCounters.createMemory(worker + 1),
      worker,
    );
    this.guard = parts.guardOf(route.guard, worker);
    const { request, response } = parts.rewriters.of(http, route);
    this.request = request;
    this.response = response;
  }
  /**
   * Lets a request in that its guard has to let out again, or says why not.
   * @param nowMs milliseconds of the process
   */
  enter(head: RequestHead, client: HttpClient, nowMs: number): Refusal {
    const refusal = this.guard.enter(head, client, nowMs);
    if (refusal !== Refusal.none || this.answer !== undefined) return refusal;
    const reason = this.refusalOfTarget(head);
    if (reason !== Refusal.none) this.guard.leave();
    return reason;
  }

  private refusalOfTarget(head: RequestHead): Refusal {
    const { outbound } = this;
    if (outbound !== undefined) {
      return outbound.find(head) === undefined ? Refusal.target_denied : Refusal.none;
    }
    return head.method === Method.CONNECT ? Refusal.connect_refused : Refusal.none;
  }
}
