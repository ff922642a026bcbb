/**
 * The admin endpoint: HTTP on the control thread for operators and their tools. It sees the proxy
 * only as an `AdminTarget`. A request passes, in this order, the guard (`guard.ts`: is it meant for
 * us, does it know the token), the router (`router.ts`: 404, 405), the body's limits
 * (`request-body.ts`) and the route itself (`routes.ts`), and what comes back is always a `Reply`:
 * what is wrong with a request is a value, not an exception. Where it listens is an `AdminPlace`'s
 * affair, which loads the rest only when there is an admin endpoint.
 */
export { type AdminChange, AdminPlace } from './admin-place.js';
export type { Reply } from './reply.js';
export type {
  AdminTarget,
  EndpointOrder,
  EndpointStatus,
  ReloadResult,
  UpstreamStatus,
} from './target.js';
