import { keptOrMade } from '../../kept-or-made.js';
import type { HttpRouteSnapshot, HttpSnapshot } from '../http-snapshot.js';
import { RequestRewriter } from './request-rewriter.js';
import { ResponseRewriter } from './response-rewriter.js';

/** What rewrites the messages of a route. */
export interface Rewriters {
  readonly request: RequestRewriter;
  readonly response: ResponseRewriter;
}

/**
 * The rewriters of one listener. Routes that want the same have the same ones: of thousands of routes,
 * what most requests need stays in the caches of the processor.
 */
export class RewriterCache {
  private readonly made = new Map<string, Rewriters>();

  of(http: HttpSnapshot, route: HttpRouteSnapshot): Rewriters {
    const { action, host, requestHeaders, responseHeaders, prefix, rewrite, sticky } = route;
    // All that the two look at of a route: plain data.
    const edits = [requestHeaders, responseHeaders, prefix, rewrite, sticky];
    const key = JSON.stringify([action.kind, host, ...edits]);
    return keptOrMade(this.made, key, () => {
      const request = new RequestRewriter(http, route);
      return { request, response: new ResponseRewriter(route, http, request) };
    });
  }
}
