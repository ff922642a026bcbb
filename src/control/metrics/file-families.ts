import type { MetricFamily } from './families.js';

/** Of routes that serve files. */
export const fileFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_files_open',
    type: 'gauge',
    help: 'Files that are open, kept for the next request or being sent',
    read: ({ totals }) => [{ labels: {}, value: totals.files_open }],
  },
  {
    name: 'headgate_files_lookups_total',
    type: 'counter',
    help: 'Times a file was looked for, among those that are open or by its path',
    read: ({ totals }) => [
      { labels: { found: 'open' }, value: totals.files_cache_hits },
      { labels: { found: 'by_path' }, value: totals.files_cache_misses },
    ],
  },
  {
    name: 'headgate_files_evicted_total',
    type: 'counter',
    help: 'Files that were given up because more were asked for than may be kept open',
    read: ({ totals }) => [{ labels: {}, value: totals.files_evicted }],
  },
  {
    name: 'headgate_files_changed_total',
    type: 'counter',
    help: 'Answers that were cut off because their file was written or truncated meanwhile',
    read: ({ totals }) => [{ labels: {}, value: totals.files_changed }],
  },
];
