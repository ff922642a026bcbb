import { PUMP_SLOTS, type PumpMeter, type SyscallName, syscallNames } from '../splice/index.js';
import { type HttpRejection, httpRejectionNames } from './http/message/index.js';
import { type MirrorCut, mirrorCuts } from './mirror-cut.js';
import { type Rejection, rejectionNames } from './tcp/index.js';
import { TLS_COUNTER_SLOTS, TlsCounters } from './tls-counters.js';

/**
 * Every number a worker shares with the control thread, named once for both. Each worker has a
 * region of its own in shared memory and is its only writer, so a plain store of an aligned double
 * is enough; the control thread adds the regions up when somebody asks.
 */

/** Single numbers. Those that end in a noun of state are gauges, the rest only grow. */
export const counterNames = [
  'flows_active',
  'loop_turns',
  'busy_polls_hit',
  'busy_polls_missed',
  'batches',
  'batched_calls',
  'batches_open',
  'handshakes_delayed',
  'events',
  'events_stale',
  'exceptions',
  'accept_paused_descriptors',
  'accept_paused_limit',
  'connect_attempts',
  'connect_failures',
  'connect_microseconds',
  'log_lines_dropped',
  'pipes_pooled',
  'pipes_in_use',
  'pipe_capacity_bytes',
  'buffers_in_use',
  'mirrors_active',
  'mirror_teed_bytes',
  'mirror_copied_bytes',
  'captures_active',
  'captures_begun',
  'captures_refused',
  'capture_copy_bytes',
  'capture_tee_bytes',
  'capture_waiting_bytes_max',
  'files_open',
  'files_cache_hits',
  'files_cache_misses',
  'files_evicted',
  'files_changed',
] as const;
export type CounterName = (typeof counterNames)[number];

/** Those that say what is, not what was. */
const gauges: readonly CounterName[] = [
  'flows_active',
  'batches_open',
  'pipes_pooled',
  'pipes_in_use',
  'pipe_capacity_bytes',
  'buffers_in_use',
  'mirrors_active',
  'captures_active',
  'files_open',
];

/** Position of each single number: `region[Counter.flows_active]++`. */
export const Counter = Object.fromEntries(
  counterNames.map((name, index) => [name, index]),
) as Readonly<Record<CounterName, number>>;

/**
 * Why a flow ended. `done`: both sides had said all they wanted; the `connect_…` reasons say what
 * became of the last attempt; `no_endpoint`: there was none to try; `drained`: the proxy is stopping,
 * and the client had said nothing yet; `denied`: the listener's networks say no; `source_limit`: the
 * client has as many as it may; `file_failed`: a file was written while it was sent, or could not be
 * read; `queue_…`: all endpoints were full; `head_…`: what routing needs was
 * wrong, or did not come in time; `request_timeout`, `response_timeout` and `body_too_slow`: a request took too
 * long when there could be no answer any more; `tls_…`: so did the TLS handshake; `upstream_tls_failed`: no endpoint
 * was left with which TLS succeeded; `worker_died`: its worker met a bug outside of any flow.
 */
export const closeReasons = [
  'done',
  'client_reset',
  'head_rejected',
  'head_timeout',
  'tls_failed',
  'tls_timeout',
  'upstream_reset',
  'file_failed',
  'connect_refused',
  'connect_timeout',
  'connect_unreachable',
  'connect_failed',
  'upstream_tls_failed',
  'no_endpoint',
  'denied',
  'source_limit',
  'queue_full',
  'queue_timeout',
  'idle_timeout',
  'request_timeout',
  'response_timeout',
  'body_too_slow',
  'drained',
  'drain_timeout',
  'stopped',
  'ended_by_admin',
  'worker_died',
  'error',
] as const;
export type CloseReason = (typeof closeReasons)[number];

/** Those that both sides are told by a FIN; a reset might overtake the alert that answers a bad head. */
export const orderlyReasons: ReadonlySet<CloseReason> = new Set([
  'done',
  'idle_timeout',
  'drained',
  'head_rejected',
  'head_timeout',
  'tls_failed',
  'tls_timeout',
]);

/**
 * Upper bounds of the buckets that count how long connecting took, milliseconds, each bound included;
 * one more bucket takes what is above the last.
 */
export const connectBoundsMs = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
] as const;

/** Position of each reason; a look-up, where `indexOf` would compare strings for every flow. */
const reasonIndex = Object.fromEntries(
  closeReasons.map((reason, index) => [reason, index]),
) as Readonly<Record<CloseReason, number>>;

const mirrorCutIndex = Object.fromEntries(
  mirrorCuts.map((reason, index) => [reason, index]),
) as Readonly<Record<MirrorCut, number>>;

/** Listeners that have counters of their own; later ones share the last region. */
export const LISTENERS_MAX = 256;
/** Error numbers that have a slot; the last one takes all that are higher. */
const ERRNO_SLOTS = 134;

const ACCEPTED = 0;
const ACTIVE = 1;
const CLOSED = 2;
const DIED = CLOSED + reasonIndex.worker_died;
const REJECTED = CLOSED + closeReasons.length;
const HTTP_REJECTED = REJECTED + rejectionNames.length;
const MIRRORED = HTTP_REJECTED + httpRejectionNames.length;
const MIRROR_CUT = MIRRORED + 1;
const LISTENER_SLOTS = MIRROR_CUT + mirrorCuts.length;

const UP = counterNames.length;
const DOWN = UP + PUMP_SLOTS;
const SECURE_UP = DOWN + PUMP_SLOTS;
const SECURE_DOWN = SECURE_UP + PUMP_SLOTS;
const ERRORS = SECURE_DOWN + PUMP_SLOTS;
const LISTENERS = ERRORS + syscallNames.length * ERRNO_SLOTS;
const CONNECT_TIMES = LISTENERS + LISTENERS_MAX * LISTENER_SLOTS;
const FLOW_SEQUENCE = CONNECT_TIMES + connectBoundsMs.length + 1;
const TLS = FLOW_SEQUENCE + 1;
const REGION_SLOTS = TLS + TLS_COUNTER_SLOTS;

/** Bytes of shared memory one worker needs. */
export const COUNTER_REGION_BYTES = REGION_SLOTS * Float64Array.BYTES_PER_ELEMENT;

const syscallIndex = new Map<SyscallName, number>(syscallNames.map((name, index) => [name, index]));

/** A worker's own region, for writing; the control thread opens the same memory for reading. */
export class Counters {
  /** Single numbers, by {@link Counter}. */
  readonly values: Float64Array;
  /** Meters of all pumps from client to upstream, and back. */
  readonly up: PumpMeter;
  readonly down: PumpMeter;
  /** The same, of pumps whose bytes pass OpenSSL in userland on one side or both. */
  readonly secureUp: PumpMeter;
  readonly secureDown: PumpMeter;
  readonly tls: TlsCounters;

  /** @param region {@link COUNTER_REGION_BYTES} of shared memory, zero at first */
  constructor(region: SharedArrayBuffer) {
    this.values = new Float64Array(region);
    this.up = this.values.subarray(UP, UP + PUMP_SLOTS);
    this.down = this.values.subarray(DOWN, DOWN + PUMP_SLOTS);
    this.secureUp = this.values.subarray(SECURE_UP, SECURE_UP + PUMP_SLOTS);
    this.secureDown = this.values.subarray(SECURE_DOWN, SECURE_DOWN + PUMP_SLOTS);
    this.tls = new TlsCounters(this.values.subarray(TLS, TLS + TLS_COUNTER_SLOTS));
  }

  /** A number no flow of this worker has had, nor one of a worker whose region this was. */
  nextFlowSequence(): number {
    return ++this.values[FLOW_SEQUENCE]!;
  }

  /**
   * Control: the worker is dead, and so are its flows. What it counted stays, because counters never
   * go back; what it had is gone.
   */
  forgetWorker(): void {
    const { values } = this;
    for (const gauge of gauges) values[Counter[gauge]] = 0;
    for (let listener = 0; listener < LISTENERS_MAX; listener++) {
      values[listenerSlot(listener, DIED)]! += this.activeOf(listener);
      values[listenerSlot(listener, ACTIVE)] = 0;
    }
  }

  /** Flows that ended because their worker died. */
  get flowsLost(): number {
    let sum = 0;
    for (let listener = 0; listener < LISTENERS_MAX; listener++) {
      sum += this.values[listenerSlot(listener, DIED)]!;
    }
    return sum;
  }

  countError(syscall: SyscallName, errno: number): void {
    this.values[errorSlot(syscall, errno)]!++;
  }

  errorCount(syscall: SyscallName, errno: number): number {
    return this.values[errorSlot(syscall, errno)]!;
  }

  /** @param listener position among the configuration's listeners */
  countAccepted(listener: number): void {
    this.values[Counter.flows_active]!++;
    this.values[listenerSlot(listener, ACCEPTED)]!++;
    this.values[listenerSlot(listener, ACTIVE)]!++;
  }

  countClosed(listener: number, reason: CloseReason): void {
    this.values[Counter.flows_active]!--;
    this.values[listenerSlot(listener, ACTIVE)]!--;
    this.values[listenerSlot(listener, CLOSED + reasonIndex[reason])]!++;
  }

  /** Counts a head that was refused, by why. */
  countRejected(listener: number, rejection: Rejection): void {
    this.values[listenerSlot(listener, REJECTED + rejection - 1)]!++;
  }

  /** @param reason position in `rejectionNames` */
  rejectedOf(listener: number, reason: number): number {
    return this.values[listenerSlot(listener, REJECTED + reason)]!;
  }

  /** Counts a request that was no request, by why. */
  countHttpRejected(listener: number, rejection: HttpRejection): void {
    this.values[listenerSlot(listener, HTTP_REJECTED + rejection - 1)]!++;
  }

  /** @param reason position in `httpRejectionNames` */
  httpRejectedOf(listener: number, reason: number): number {
    return this.values[listenerSlot(listener, HTTP_REJECTED + reason)]!;
  }

  /** Counts a flow or a request that is mirrored. */
  countMirrored(listener: number): void {
    this.values[listenerSlot(listener, MIRRORED)]!++;
  }

  mirroredOf(listener: number): number {
    return this.values[listenerSlot(listener, MIRRORED)]!;
  }

  /** Counts a flow or a request of which the shadow did not get everything. */
  countMirrorCut(listener: number, reason: MirrorCut): void {
    this.values[listenerSlot(listener, MIRROR_CUT + mirrorCutIndex[reason])]!++;
  }

  /** @param reason position in `mirrorCuts` */
  mirrorCutOf(listener: number, reason: number): number {
    return this.values[listenerSlot(listener, MIRROR_CUT + reason)]!;
  }

  /** Counts a connection to an endpoint that was made. @param elapsedMs since connect(2) */
  countConnected(elapsedMs: number): void {
    this.values[Counter.connect_microseconds]! += elapsedMs * 1000;
    let bucket = 0;
    while (bucket < connectBoundsMs.length && elapsedMs > connectBoundsMs[bucket]!) bucket++;
    this.values[CONNECT_TIMES + bucket]!++;
  }

  /** @param bucket position among {@link connectBoundsMs}, or one past the last */
  connectedIn(bucket: number): number {
    return this.values[CONNECT_TIMES + bucket]!;
  }

  acceptedBy(listener: number): number {
    return this.values[listenerSlot(listener, ACCEPTED)]!;
  }

  activeOf(listener: number): number {
    return this.values[listenerSlot(listener, ACTIVE)]!;
  }

  closedOf(listener: number, reason: number): number {
    return this.values[listenerSlot(listener, CLOSED + reason)]!;
  }
}

/** Highest error number with a slot of its own. */
export const ERRNO_MAX = ERRNO_SLOTS - 1;

function errorSlot(syscall: SyscallName, errno: number): number {
  return ERRORS + syscallIndex.get(syscall)! * ERRNO_SLOTS + Math.min(errno, ERRNO_MAX);
}

function listenerSlot(listener: number, slot: number): number {
  return LISTENERS + Math.min(listener, LISTENERS_MAX - 1) * LISTENER_SLOTS + slot;
}
