import type { ConfigFile } from './schema/index.js';
import { parseDuration, valid } from './values/index.js';

/** What 1 ms at least cannot be taken for; infinity is no JSON. */
const NEVER = 0;

type RouteFile = NonNullable<
  NonNullable<ConfigFile['listeners'][string]['http']>['routes']
>[number];

/** Timeouts of requests, milliseconds; 0 is never. */
export function toRequestTimeouts({ request, response, tunnel, idle }: ConfigFile['timeouts']) {
  return {
    requestMs: limitedTime(request),
    responseMs: limitedTime(response),
    tunnelMs: valid(parseDuration(tunnel ?? idle)),
  };
}

/** A route's own ones; null is what holds for all, for one of them or for the route. A route that says `idle` alone means tunnels, too. */
export function toRouteTimeouts({ timeouts }: Pick<RouteFile, 'timeouts'>) {
  if (timeouts === undefined) return null;
  const { connect, idle, request, response, tunnel = idle } = timeouts;
  const optional = (text: string | undefined) => (text === undefined ? null : limitedTime(text));
  return {
    connectMs: optional(connect),
    idleMs: optional(idle),
    requestMs: optional(request),
    responseMs: optional(response),
    tunnelMs: optional(tunnel),
  };
}

function limitedTime(text: string): number {
  return text === 'off' ? NEVER : valid(parseDuration(text));
}
