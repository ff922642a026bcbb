import type { Statistics } from '../statistics/index.js';
import type { MetricFamily } from './families.js';

/** What is counted of captures. */
export const captureFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_captures_total',
    type: 'counter',
    help: 'Captures that have ended, by what they lack; not_begun: there was no room to begin',
    read: ({ captures, totals }) => [
      { labels: { missing: 'nothing' }, value: captures.complete },
      ...Object.entries(captures.incomplete).map(([missing, value]) => ({
        labels: { missing },
        value,
      })),
      { labels: { missing: 'not_begun' }, value: totals.captures_refused },
    ],
  },
  single(
    'counter',
    'headgate_captures_begun_total',
    'Connections whose capture has begun',
    ({ totals }) => totals.captures_begun,
  ),
  single(
    'gauge',
    'headgate_captures_active',
    'Connections that are being captured',
    ({ totals }) => totals.captures_active,
  ),
  {
    name: 'headgate_capture_bytes_total',
    type: 'counter',
    help: 'Bytes handed to the capture thread: copied, or duplicated by tee(2)',
    read: ({ totals }) => [
      { labels: { path: 'copy' }, value: totals.capture_copy_bytes },
      { labels: { path: 'tee' }, value: totals.capture_tee_bytes },
    ],
  },
  single(
    'counter',
    'headgate_capture_disk_bytes_total',
    'Bytes the capture thread has written, those of records included',
    ({ captures }) => captures.diskBytes,
  ),
  single(
    'gauge',
    'headgate_capture_waiting_bytes_max',
    'Most copied bytes that ever waited for the capture thread; a worker has room for 4 MiB',
    ({ totals }) => totals.capture_waiting_bytes_max,
  ),
  single(
    'gauge',
    'headgate_capture_stored_bytes',
    'What the capture directories take up',
    ({ captures }) => captures.storedBytes,
  ),
  single(
    'gauge',
    'headgate_capture_stored_flows',
    'Captures in the capture directories',
    ({ captures }) => captures.storedFlows,
  ),
  single(
    'counter',
    'headgate_captures_deleted_total',
    'Captures deleted because a directory may not hold more',
    ({ captures }) => captures.deleted,
  ),
  single(
    'gauge',
    'headgate_capture_thread_up',
    'Whether the capture thread runs; 0 also while no listener captures',
    ({ captures }) => (captures.thread === 'running' ? 1 : 0),
  ),
];

function single(
  type: MetricFamily['type'],
  name: string,
  help: string,
  pick: (statistics: Statistics) => number,
): MetricFamily {
  return { name, type, help, read: (statistics) => [{ labels: {}, value: pick(statistics) }] };
}
