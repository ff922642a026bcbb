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
  connectBoundsMs,
  counterNames,
  ERRNO_MAX,
  LISTENERS_MAX,
  SHARED_BYTES,
} from './counters.js';
export type { FromWorker, ToWorker, WorkerStart } from './messages.js';
export type {
  LimitsSnapshot,
  ListenerSnapshot,
  TimeoutsSnapshot,
  UpstreamSnapshot,
  WorkerSnapshot,
} from './snapshot.js';
