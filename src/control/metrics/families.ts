import type { DirectionStatistics, ListenerStatistics, Statistics } from '../statistics/index.js';
import type { Build } from './build.js';
import { captureFamilies } from './capture-families.js';

import { endpointFamilies } from './endpoint-families.js';
import { expiryFamilies } from './expiry-families.js';
import { fileFamilies } from './file-families.js';
import { histogramSamples } from './histogram-samples.js';
import { mirrorFamilies } from './mirror-families.js';
import { nameFamilies } from './name-families.js';
import { routeFamilies } from './route-families.js';
import { tlsFamilies } from './tls-families.js';

type Labels = Readonly<Record<string, string>>;

/** One line of the exposition. */
export interface MetricSample {
  readonly labels: Labels;
  readonly value: number;
  /** Where it is not the family's: `…_bucket`, `…_sum` and `…_count` of a histogram. */
  readonly metricName?: string;
}

/** One metric with all its labels; docs/metrics.md has a row for each. */
export interface MetricFamily {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly read: (statistics: Statistics, build: Build) => readonly MetricSample[];
}

/** Every metric of Headgate's own, in the order of the exposition. */
export const families: readonly MetricFamily[] = [
  {
    name: 'headgate_build_info',
    type: 'gauge',
    help: 'Always 1; the labels say what is running',
    read: (_, build) => [{ labels: { ...build }, value: 1 }],
  },
  single('gauge', 'headgate_uptime_seconds', 'Time since the proxy was started', (statistics) =>
    seconds(statistics.uptimeMs),
  ),
  {
    name: 'headgate_workers',
    type: 'gauge',
    help: 'Data threads that were asked for, and those that run',
    read: ({ workers }) => [
      { labels: { state: 'configured' }, value: workers.configured },
      { labels: { state: 'running' }, value: workers.running },
    ],
  },
  single(
    'counter',
    'headgate_worker_deaths_total',
    'Data threads that died of a bug and took their connections along',
    ({ workers }) => workers.deaths,
  ),
  {
    name: 'headgate_reloads_total',
    type: 'counter',
    help: 'Configurations that were to replace the one in force',
    read: ({ reloads }) => [
      { labels: { result: 'applied' }, value: reloads.applied },
      { labels: { result: 'refused' }, value: reloads.refused },
    ],
  },
  single(
    'gauge',
    'headgate_config_last_reload_successful',
    'Whether the last of them did, or none was refused yet',
    ({ reloads }) => (reloads.isLastRefused ? 0 : 1),
  ),
  single(
    'gauge',
    'headgate_connections_limit',
    'Client connections the process may have, limits.connections',
    ({ limits }) => limits.connectionsMax,
  ),
  byListener(
    'gauge',
    'headgate_connections_active',
    'Client connections that are open',
    ({ active }) => active,
  ),
  byListener(
    'counter',
    'headgate_connections_total',
    'Client connections that were accepted',
    ({ accepted }) => accepted,
  ),
  {
    name: 'headgate_connections_closed_total',
    type: 'counter',
    help: 'Client connections that ended, by how',
    read: ({ listeners }) =>
      Object.entries(listeners).flatMap(([listener, { closed }]) =>
        Object.entries(closed).map(([reason, value]) => ({ labels: { listener, reason }, value })),
      ),
  },
  {
    name: 'headgate_heads_rejected_total',
    type: 'counter',
    help: 'Connections closed for what they began with, a PROXY header or a ClientHello, by why',
    read: ({ listeners }) =>
      Object.entries(listeners).flatMap(([listener, { headsRejected }]) =>
        Object.entries(headsRejected).map(([reason, value]) => ({
          labels: { listener, reason },
          value,
        })),
      ),
  },
  {
    name: 'headgate_http_requests_rejected_total',
    type: 'counter',
    help: 'Requests that are not what HTTP allows, or too large, by why',
    read: ({ listeners }) =>
      Object.entries(listeners).flatMap(([listener, { requestsRejected }]) =>
        Object.entries(requestsRejected).map(([reason, value]) => ({
          labels: { listener, reason },
          value,
        })),
      ),
  },
  ...expiryFamilies,
  {
    name: 'headgate_accept_pauses_total',
    type: 'counter',
    help: 'Times a listener stopped accepting for want of descriptors or at the connection limit',
    read: ({ totals }) => [
      { labels: { cause: 'descriptors' }, value: totals.accept_paused_descriptors },
      { labels: { cause: 'limit' }, value: totals.accept_paused_limit },
    ],
  },
  single(
    'counter',
    'headgate_upstream_connect_attempts_total',
    'Connections to endpoints that were tried',
    ({ totals }) => totals.connect_attempts,
  ),
  single(
    'counter',
    'headgate_upstream_connect_failures_total',
    'Connections to endpoints that were not made',
    ({ totals }) => totals.connect_failures,
  ),
  {
    name: 'headgate_upstream_connect_seconds',
    type: 'histogram',
    help: 'How long the connections to endpoints that were made took',
    read: ({ connectTimes }) => histogramSamples('headgate_upstream_connect_seconds', connectTimes),
  },
  ...routeFamilies,
  ...endpointFamilies,
  ...nameFamilies,
  ...fileFamilies,
  ...tlsFamilies,
  ...mirrorFamilies,
  ...captureFamilies,
  byPath('headgate_bytes_total', 'Bytes moved', (direction) => ({
    copy: direction.copyBytes,
    splice: direction.spliceBytes,
    sendfile: direction.sendfileBytes,
    userland_tls: direction.userlandTlsBytes,
  })),
  byPath(
    'headgate_operations_total',
    'Calls that moved bytes: recv(2) when copying, splice(2) when splicing, sendfile(2), or through OpenSSL',
    (direction) => ({
      copy: direction.copyOperations,
      splice: direction.spliceOperations,
      sendfile: direction.sendfileOperations,
      userland_tls: direction.userlandTlsOperations,
    }),
  ),
  byDirection(
    'headgate_would_block_total',
    'Times a direction stopped because its source had nothing or its sink took nothing',
    'side',
    ({ sourceBlocked, sinkBlocked }) => ({ source: sourceBlocked, sink: sinkBlocked }),
  ),
  byDirection(
    'headgate_splice_fallbacks_total',
    'Times bytes were copied that should have been spliced',
    'reason',
    ({ noPipe, refused }) => ({ no_pipe: noPipe, refused }),
  ),
  {
    name: 'headgate_pipes',
    type: 'gauge',
    help: 'Pipes that wait in the pools, and those that hold bytes',
    read: ({ totals }) => [
      { labels: { state: 'pooled' }, value: totals.pipes_pooled },
      { labels: { state: 'in_use' }, value: totals.pipes_in_use },
    ],
  },
  single(
    'gauge',
    'headgate_pipe_capacity_bytes',
    'Capacity of all pipes, pooled and in use',
    ({ totals }) => totals.pipe_capacity_bytes,
  ),
  single(
    'gauge',
    'headgate_pipe_capacity_limit_bytes',
    'Capacity all pipes may have, limits.pipe_memory',
    ({ limits }) => limits.pipeMemoryBytes,
  ),
  single(
    'gauge',
    'headgate_buffers_in_use',
    'Copy buffers that hold bytes their sink has not taken',
    ({ totals }) => totals.buffers_in_use,
  ),
  {
    name: 'headgate_syscall_errors_total',
    type: 'counter',
    help: 'System calls that failed, by error; EAGAIN, EINTR and EINPROGRESS are no failures',
    read: ({ errors }) =>
      Object.entries(errors).flatMap(([syscall, counts]) =>
        Object.entries(counts).map(([errno, value]) => ({ labels: { syscall, errno }, value })),
      ),
  },
  single(
    'counter',
    'headgate_exceptions_total',
    'Exceptions while serving an event: bugs, each of which ended one connection',
    ({ totals }) => totals.exceptions,
  ),
  single(
    'counter',
    'headgate_event_loop_turns_total',
    'Turns of the event loops of all workers',
    ({ totals }) => totals.loop_turns,
  ),
  {
    name: 'headgate_busy_polls_total',
    type: 'counter',
    help: 'Times an event loop looked for events a few microseconds longer before it slept, and whether some came',
    read: ({ totals }) => [
      { labels: { result: 'hit' }, value: totals.busy_polls_hit },
      { labels: { result: 'miss' }, value: totals.busy_polls_missed },
    ],
  },
  single(
    'gauge',
    'headgate_io_uring_workers',
    'Data threads that make the reads, writes and closes of many connections together, by io_uring(7)',
    ({ totals }) => totals.batches_open,
  ),
  single(
    'counter',
    'headgate_call_batches_total',
    'Times an event loop made reads, or writes, or closes, of several connections together',
    ({ totals }) => totals.batches,
  ),
  single(
    'counter',
    'headgate_batched_calls_total',
    'Reads, writes and closes that were made together with others',
    ({ totals }) => totals.batched_calls,
  ),
  single(
    'counter',
    'headgate_tls_handshakes_delayed_total',
    'Times a TLS handshake waited for a later turn of the loop, because others took the time of this one',
    ({ totals }) => totals.handshakes_delayed,
  ),
  {
    name: 'headgate_events_total',
    type: 'counter',
    help: 'Events that epoll_wait(2) reported, and how many came too late for their connection',
    read: ({ totals }) => [
      { labels: { state: 'served' }, value: totals.events - totals.events_stale },
      { labels: { state: 'stale' }, value: totals.events_stale },
    ],
  },
  {
    name: 'headgate_log_lines_dropped_total',
    type: 'counter',
    help: 'Log lines given up because who comes next did not take them',
    read: ({ totals, logLinesDropped, accessFile }) => [
      { labels: { thread: 'worker' }, value: totals.log_lines_dropped },
      { labels: { thread: 'control' }, value: logLinesDropped },
      { labels: { thread: 'access_file' }, value: accessFile.linesLost },
    ],
  },
  single(
    'counter',
    'headgate_access_file_errors_total',
    'Times the file of access lines could not be written to, or opened anew',
    ({ accessFile }) => accessFile.errors,
  ),
];

function single(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  pick: (statistics: Statistics) => number,
): MetricFamily {
  return { name, type, help, read: (statistics) => [{ labels: {}, value: pick(statistics) }] };
}

function byListener(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  pick: (listener: ListenerStatistics) => number,
): MetricFamily {
  const read = ({ listeners }: Statistics): MetricSample[] =>
    Object.entries(listeners).map(([listener, counted]) => ({
      labels: { listener },
      value: pick(counted),
    }));
  return { name, type, help, read };
}

function byPath(
  name: string,
  help: string,
  pick: (direction: DirectionStatistics) => Readonly<Record<string, number>>,
): MetricFamily {
  return byDirection(name, help, 'path', pick);
}

/** A counter for each direction and each key that `pick` answers, which is the label's value. */
function byDirection(
  name: string,
  help: string,
  label: string,
  pick: (direction: DirectionStatistics) => Readonly<Record<string, number>>,
): MetricFamily {
  const read = ({ up, down }: Statistics): MetricSample[] =>
    Object.entries({ up, down }).flatMap(([direction, counted]) =>
      Object.entries(pick(counted)).map(([key, value]) => ({
        labels: { direction, [label]: key },
        value,
      })),
    );
  return { name, type: 'counter', help, read };
}

function seconds(ms: number): number {
  return ms / 1000;
}
