import type { MetricFamily } from './families.js';

/** What became of copies that other upstreams were given. */
export const mirrorFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_mirrored_total',
    type: 'counter',
    help: 'Connections, or requests, of which another upstream was given a copy',
    read: ({ listeners }) =>
      Object.entries(listeners).map(([listener, { mirrored }]) => ({
        labels: { listener },
        value: mirrored,
      })),
  },
  {
    name: 'headgate_mirrors_cut_total',
    type: 'counter',
    help: 'Connections, or requests, of which the shadow did not get everything, by why',
    read: ({ listeners }) =>
      Object.entries(listeners).flatMap(([listener, { mirrorsCut }]) =>
        Object.entries(mirrorsCut).map(([reason, value]) => ({
          labels: { listener, reason },
          value,
        })),
      ),
  },
  {
    name: 'headgate_mirrors_active',
    type: 'gauge',
    help: 'Connections to shadows that are open or being made',
    read: ({ totals }) => [{ labels: {}, value: totals.mirrors_active }],
  },
  {
    name: 'headgate_mirror_bytes_total',
    type: 'counter',
    help: 'Bytes taken for shadows: by reference, with tee(2), or by copying',
    read: ({ totals }) => [
      { labels: { path: 'tee' }, value: totals.mirror_teed_bytes },
      { labels: { path: 'copy' }, value: totals.mirror_copied_bytes },
    ],
  },
];
