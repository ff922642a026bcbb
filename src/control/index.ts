/**
 * The main thread: it binds the listeners, starts the data threads and watches over them, writes
 * the log, and adds the counters up. It is the only place with promises and timers of Node's own.
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
export { type Check, diagnose } from './diagnosis.js';
export { bindErrorText } from './listening.js';
export { LogSink } from './log-sink.js';
export type {
  DirectionStatistics,
  HistogramStatistics,
  ListenerStatistics,
  Statistics,
} from './statistics.js';
export { type ListeningAddress, Supervisor } from './supervisor.js';
export { type InheritedSocket, inheritedSockets, ServiceManager } from './systemd.js';
export { validityChecks } from './tls/index.js';
