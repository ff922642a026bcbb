/**
 * The data plane: what a worker thread does. Its own epoll loop and timer wheel, listeners, flows
 * and the counters it shares with the control thread. Nothing here waits for a promise or touches
 * Node's streams; all system calls go through the kernel room.
 */
export {
  type CloseReason,
  COUNTER_REGION_BYTES,
  Counter,
  type CounterName,
  Counters,
  closeReasons,
  counterNames,
  ERRNO_MAX,
  LISTENERS_MAX,
  SHARED_BYTES,
} from './counters.js';
export type { FromWorker, ToWorker, WorkerStart } from './messages.js';
export {
  type EndpointSnapshot,
  type LimitsSnapshot,
  type ListenerSnapshot,
  type PassiveSnapshot,
  type TimeoutsSnapshot,
  type UpstreamSnapshot,
  upstreamDefaults,
  type WorkerSnapshot,
} from './snapshot.js';
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
