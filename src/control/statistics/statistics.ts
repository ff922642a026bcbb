import {
  type CloseReason,
  Counter,
  type CounterName,
  type Counters,
  closeReasons,
  connectBoundsMs,
  counterNames,
  ERRNO_MAX,
  type HttpRejectionName,
  httpRejectionNames,
  LISTENERS_MAX,
  type MirrorCut,
  mirrorCuts,
  type RejectionName,
  rejectionNames,
  type TlsSideName,
} from '../../proxy/index.js';
import { errnoName, PumpSlot, syscallNames } from '../../splice/index.js';
import type { CaptureStatistics } from '../capture/index.js';
import type { NameFacts } from '../discovery/index.js';
import type { Validity } from '../tls/index.js';
import type { UpstreamStatistics } from '../upstreams/index.js';
import type { RouteStatistics } from './route-statistics.js';
import { readTlsStatistics, type TlsStatistics } from './tls-statistics.js';

/** Listeners past those that have counters of their own; no listener can be called that. */
export const OTHER_LISTENERS = '(others)';

/** Bytes and operations of one direction, by path, since the start. */
export interface DirectionStatistics {
  copyBytes: number;
  copyOperations: number;
  spliceBytes: number;
  spliceOperations: number;
  /** From the page cache into a socket. */
  sendfileBytes: number;
  sendfileOperations: number;
  /** Through OpenSSL, on one side or both. */
  userlandTlsBytes: number;
  userlandTlsOperations: number;
  /** EAGAIN on the reading side, on the writing side. */
  sourceBlocked: number;
  sinkBlocked: number;
  /** Splicing was wanted, and copied for want of a pipe; refused by the kernel. */
  noPipe: number;
  refused: number;
}

/** Counters of one listener, since the start; `active` is how many connections it has now. */
export interface ListenerStatistics {
  accepted: number;
  active: number;
  closed: Record<CloseReason, number>;
  /** Heads that were refused: those reasons that there were. */
  headsRejected: Partial<Record<RejectionName, number>>;
  /** Requests that were none: those reasons that there were. */
  requestsRejected: Partial<Record<HttpRejectionName, number>>;
  /** Flows, or requests, of which another upstream was given a copy. */
  mirrored: number;
  /** Those of which it did not get everything: those reasons that there were. */
  mirrorsCut: Partial<Record<MirrorCut, number>>;
}

/** How long something took, as counts by bucket. */
export interface HistogramStatistics {
  /** Upper bounds, included, ascending. */
  boundsMs: readonly number[];
  /** One for each bound, and a last one for what is above; not cumulative. */
  counts: number[];
  sumMs: number;
}

/** What the workers counted, added up; reading it disturbs nobody. */
export interface WorkerStatistics {
  totals: Record<CounterName, number>;
  /** From client to upstream, and back. */
  up: DirectionStatistics;
  down: DirectionStatistics;
  tls: Record<TlsSideName, TlsStatistics>;
  listeners: Record<string, ListenerStatistics>;
  /** Failed system calls: `errors.recv.ECONNRESET`. */
  errors: Record<string, Record<string, number>>;
  /** Connections to endpoints that were made. */
  connectTimes: HistogramStatistics;
}

/** All there is to know of a running proxy in numbers. */
export interface Statistics extends WorkerStatistics {
  uptimeMs: number;
  workers: { configured: number; running: number; deaths: number };
  /** Configurations that were to replace the one in force, and did or did not. */
  reloads: { applied: number; refused: number; isLastRefused: boolean };
  limits: { connectionsMax: number; pipeMemoryBytes: number };
  captures: CaptureStatistics;
  /** Requests, by listener and route. */
  routes: readonly RouteStatistics[];
  /** By upstream, what is in the endpoint table. */
  upstreams: readonly UpstreamStatistics[];
  /** Those that endpoints are found by. */
  names: readonly NameFacts[];
  /** How long certificates, OCSP responses and revocation lists hold. */
  validities: readonly Validity[];
  /** Lines the control thread gave up because nobody read standard error. */
  logLinesDropped: number;
  accessFile: {
    /** Times it could not be written to, or opened anew. */
    errors: number;
    /** Lines given up because of that. */
    linesLost: number;
  };
}

/** Those that share the last counters are one: each by itself would tell of all of them. */
function countedNames(listeners: readonly string[]): readonly string[] {
  if (listeners.length <= LISTENERS_MAX) return listeners;
  return [...listeners.slice(0, LISTENERS_MAX - 1), OTHER_LISTENERS];
}

/** @param listeners names in the order of their counters */
export function readStatistics(
  regions: readonly Counters[],
  listeners: readonly string[],
): WorkerStatistics {
  const sum = (pick: (region: Counters) => number): number =>
    regions.reduce((total, region) => total + pick(region), 0);
  return {
    totals: record(counterNames, (name) => sum(({ values }) => values[Counter[name]]!)),
    up: readDirection(
      (slot) => sum(({ up }) => up[slot]!),
      (slot) => sum(({ secureUp }) => secureUp[slot]!),
    ),
    down: readDirection(
      (slot) => sum(({ down }) => down[slot]!),
      (slot) => sum(({ secureDown }) => secureDown[slot]!),
    ),
    tls: {
      client: readTlsStatistics(regions, 'client'),
      upstream: readTlsStatistics(regions, 'upstream'),
    },
    listeners: record(countedNames(listeners), (_, index) => ({
      accepted: sum((region) => region.acceptedBy(index)),
      active: sum((region) => region.activeOf(index)),
      closed: record(closeReasons, (_, reason) => sum((region) => region.closedOf(index, reason))),
      headsRejected: present(rejectionNames, (_, reason) =>
        sum((region) => region.rejectedOf(index, reason)),
      ),
      requestsRejected: present(httpRejectionNames, (_, reason) =>
        sum((region) => region.httpRejectedOf(index, reason)),
      ),
      mirrored: sum((region) => region.mirroredOf(index)),
      mirrorsCut: present(mirrorCuts, (_, reason) =>
        sum((region) => region.mirrorCutOf(index, reason)),
      ),
    })),
    errors: readErrors(regions),
    connectTimes: {
      boundsMs: connectBoundsMs,
      counts: Array.from({ length: connectBoundsMs.length + 1 }, (_, bucket) =>
        sum((region) => region.connectedIn(bucket)),
      ),
      sumMs: sum(({ values }) => values[Counter.connect_microseconds]!) / 1000,
    },
  };
}

/** @param plain a meter of pumps between sockets @param secure of those that OpenSSL takes part in */
function readDirection(
  plain: (slot: number) => number,
  secure: (slot: number) => number,
): DirectionStatistics {
  const both = (slot: number): number => plain(slot) + secure(slot);
  return {
    copyBytes: plain(PumpSlot.CopyBytes),
    copyOperations: plain(PumpSlot.CopyOperations),
    // A pump that finds OpenSSL at its sink only has spliced from its source before it knew.
    spliceBytes: both(PumpSlot.SpliceBytes),
    spliceOperations: both(PumpSlot.SpliceOperations),
    sendfileBytes: both(PumpSlot.SendfileBytes),
    sendfileOperations: both(PumpSlot.SendfileOperations),
    userlandTlsBytes: secure(PumpSlot.CopyBytes),
    userlandTlsOperations: secure(PumpSlot.CopyOperations),
    sourceBlocked: both(PumpSlot.SourceBlocked),
    sinkBlocked: both(PumpSlot.SinkBlocked),
    noPipe: both(PumpSlot.NoPipe),
    refused: both(PumpSlot.Refused),
  };
}

function readErrors(regions: readonly Counters[]): WorkerStatistics['errors'] {
  const errors: WorkerStatistics['errors'] = {};
  for (const syscall of syscallNames) {
    for (let errno = 1; errno <= ERRNO_MAX; errno++) {
      const count = regions.reduce((sum, region) => sum + region.errorCount(syscall, errno), 0);
      if (count > 0) {
        errors[syscall] ??= {};
        errors[syscall][errnoName(errno)] = count;
      }
    }
  }
  return errors;
}

/** Without those that are 0. */
function present<Key extends string>(
  keys: readonly Key[],
  value: (key: Key, index: number) => number,
): Partial<Record<Key, number>> {
  const all = Object.entries<number>(record(keys, value));
  return Object.fromEntries(all.filter(([, count]) => count > 0)) as Partial<Record<Key, number>>;
}

function record<Key extends string, Value>(
  keys: readonly Key[],
  value: (key: Key, index: number) => Value,
): Record<Key, Value> {
  return Object.fromEntries(keys.map((key, index) => [key, value(key, index)])) as Record<
    Key,
    Value
  >;
}
