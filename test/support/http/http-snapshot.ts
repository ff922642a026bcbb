import type { HttpSnapshot } from '#src/proxy/index.js';
import { routeOf } from '#test/proxy/http/requests.js';
import { silent } from '#test/proxy/http/rewriting/exchange-rig.js';

/** Forwards everything to the first upstream, and adds nothing to it. */
export const plainHttp: HttpSnapshot = { ...silent, routes: [routeOf()] };
