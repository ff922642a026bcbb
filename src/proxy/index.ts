/**
 * The data plane: what a worker thread does. Its own epoll loop and timer wheel, listeners, flows
 * and the counters it shares with the control thread. Nothing here waits for a promise or touches
 * Node's streams; all system calls go through the kernel room.
 */
export type { AdmissionSnapshot } from './admission.js';
export {
  type CaptureDirection,
  type CaptureLaneMemory,
  type CaptureNote,
  type CaptureSnapshot,
  ENTRIES,
  ENTRY_SLOTS,
  EntryKind,
  type IncompleteReason,
  incompleteReasons,
  LANE_BYTES,
  LANE_PIPES,
  LaneMap,
  LaneSlot,
  LaneState,
  PIPE_CAPACITY,
  PIPE_CONSUMED,
  PIPE_READ_END,
  PIPE_WRITE_END,
  pipeSlot,
  RecorderBell,
} from './capture/index.js';
export {
  type CloseReason,
  COUNTER_REGION_BYTES,
  Counter,
  type CounterName,
  Counters,
  closeReasons,
  connectBoundsMs,
  counterNames,
  ERRNO_MAX,
  LISTENERS_MAX,
} from './counters.js';
export { EVENTS_MAX } from './event-loop.js';
export type { DirectionState, DirectionStatus } from './flow/index.js';
export { type FlowList, type FlowQuery, type FlowStatus, mergeFlowLists } from './flow-report.js';
export {
  type GuardSnapshot,
  RATE_LIMIT_BYTES,
  type RefusalName,
  refusalNames,
} from './http/guarding/index.js';
export {
  type HttpRouteSnapshot,
  type HttpSnapshot,
  type LatenessName,
  latenessNames,
  RouteCounters,
  requestBoundsMs,
} from './http/index.js';
export { type HttpRejectionName, httpRejectionNames } from './http/message/index.js';
export { keptOrMade } from './kept-or-made.js';
export type { FromWorker, NameAnswer, ToWorker, WorkerAnswer, WorkerStart } from './messages.js';
export type { MirrorSnapshot, MirrorStatus } from './mirror/index.js';
export { type MirrorCut, mirrorCuts } from './mirror-cut.js';
export type { Network } from './network-set.js';
export { ConnectionLimit } from './room.js';
export { type SessionStateName, sessionStateNames } from './session-state.js';
export {
  type EndpointSnapshot,
  type LimitsSnapshot,
  type ListenerSnapshot,
  type PassiveSnapshot,
  type RouteSnapshot,
  type TimeoutsSnapshot,
  type UpstreamSnapshot,
  upstreamDefaults,
  type WorkerSnapshot,
} from './snapshot.js';
export { SourceLimit } from './source-limit.js';
export { type StatusClass, statusClasses } from './status-class.js';
export {
  type RejectionName,
  rejectionNames,
  V1_BYTES_MAX,
  writeProxyV1,
  writeProxyV2,
} from './tcp/index.js';
export { type HandshakeKind, type TlsSideName, tlsSides } from './tls-counters.js';
export {
  type Balance,
  ENDPOINT_SLOTS,
  EndpointSlots,
  EndpointState,
  EndpointTable,
  endpointStateNames,
  Health,
  processMs,
  type SlotAssignment,
  type SlotReading,
  type SlotRequest,
} from './upstream/index.js';
