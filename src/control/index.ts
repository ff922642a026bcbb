/**
 * The main thread: it binds the listeners (`listening/`), starts the data threads and watches over them (`workers/`), tells
 * them what to do (`snapshots/`), writes the log, and adds the counters up. `site.ts` has all that, `supervisor.ts` runs it,
 * `reload.ts` exchanges it for another configuration's. It is the only place with promises and timers of Node's own.
 */
export type {
  AdminTarget,
  EndpointOrder,
  EndpointStatus,
  ReloadResult,
  UpstreamStatus,
} from './admin/index.js';
export {
  type CaptureChunk,
  type CaptureStatistics,
  captureChecks,
  capturePath,
  chunksOf,
  exportRaw,
  isCaptureId,
  listCaptures,
  pcapngBytes,
  rawBytes,
  readCapture,
  type StoredCapture,
} from './capture/index.js';
export { bindErrorText } from './listening/index.js';
export { LogSink } from './logging/index.js';
export {
  accountChecks,
  type Check,
  diagnose,
  type InheritedSocket,
  inheritedSockets,
  ServiceManager,
} from './machine/index.js';
export type {
  DirectionStatistics,
  HistogramStatistics,
  ListenerStatistics,
  RouteStatistics,
  Statistics,
} from './statistics/index.js';
export { type ListeningAddress, Supervisor } from './supervisor.js';
export { tlsChecks, type Validity } from './tls/index.js';
export type { EndpointStatistics, UpstreamStatistics } from './upstreams/index.js';
