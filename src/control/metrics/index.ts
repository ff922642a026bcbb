/**
 * What Prometheus is told: one table of metric families (`families.ts`), each read from the
 * statistics when somebody scrapes, and the metrics every Node process has. Nothing is counted here.
 */
export { type Build, thisBuild } from './build.js';
export { families, type MetricFamily, type MetricSample } from './families.js';
export { Metrics } from './metrics.js';
