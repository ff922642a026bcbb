/**
 * The room of names: what upstreams call `db.example.com:5432` or `srv:_pg._tcp.example.com` becomes addresses,
 * and does so again whenever the answer's time is over. `host-lookup.ts` and `service-lookup.ts` know where answers come from (over `dns-client.ts`, `hosts-file.ts`, `search-list.ts`),
 * `watched-name.ts` knows when to ask, and what to do when nobody answers: keep what was known.
 */
export { type Clock, systemClock, type Timer } from './clock.js';
export {
  Discovery,
  type DiscoveryOptions,
  type EndpointsChanged,
  type NameWatch,
} from './discovery.js';
export type { Family } from './dns-client.js';
export type { ResolvedEndpoint } from './endpoint.js';
export { jittered, type Random } from './jitter.js';
export { NameState } from './name-state.js';
export { NamesOnDemand } from './names-on-demand.js';
export { type LookupOutcome, lookupOutcomes } from './outcome.js';
export type { NameFacts } from './watched-name.js';
