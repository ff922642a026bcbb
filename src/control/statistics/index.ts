/**
 * What all workers have counted, added up: of the whole proxy (`statistics.ts`), of each route, of TLS. Routes' memory
 * lies here because it outlives workers and reloads.
 */
export { NO_ROUTE, RouteMemory } from './route-memory.js';
export { type RouteStatistics, readRouteStatistics } from './route-statistics.js';
export {
  type DirectionStatistics,
  type HistogramStatistics,
  type ListenerStatistics,
  readStatistics,
  type Statistics,
} from './statistics.js';
export type { TlsStatistics } from './tls-statistics.js';
