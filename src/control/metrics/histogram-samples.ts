import type { HistogramStatistics } from '../statistics/index.js';
import type { MetricSample } from './families.js';

/** Cumulative buckets, as Prometheus wants them: each counts what all smaller ones count, too. */
export function histogramSamples(
  name: string,
  { boundsMs, counts, sumMs }: HistogramStatistics,
  labels: MetricSample['labels'] = {},
): MetricSample[] {
  const limits = [...boundsMs.map((bound) => String(bound / 1000)), '+Inf'];
  let count = 0;
  const buckets = limits.map((le, bucket) => {
    count += counts[bucket]!;
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sumMs / 1000 },
    { metricName: `${name}_count`, labels, value: count },
  ];
}
