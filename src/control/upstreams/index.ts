/**
 * The room of upstreams: who their endpoints are at this moment. The configuration names them, names lead to
 * addresses that change (`live-upstream.ts`), each address has a slot in the endpoint table, is checked and comes
 * back slowly (`live-endpoint.ts`), and workers are told the whole list whenever it is another one (`upstreams.ts`).
 */
export { type EndpointStatistics, type UpstreamStatistics, Upstreams } from './upstreams.js';
