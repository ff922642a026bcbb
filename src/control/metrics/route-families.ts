import type { HistogramStatistics, RouteStatistics } from '../statistics/index.js';
import type { MetricFamily, MetricSample } from './families.js';
import { histogramSamples } from './histogram-samples.js';

/** What is known of requests, by listener and route. */
export const routeFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_http_requests_total',
    type: 'counter',
    help: 'Requests that are over, by class of the status they were answered with',
    read: byRoute(({ ended }, labels) =>
      Object.entries(ended).map(([status_class, value]) => ({
        labels: { ...labels, status_class },
        value,
      })),
    ),
  },
  {
    name: 'headgate_http_requests_active',
    type: 'gauge',
    help: 'Requests that are under way',
    read: byRoute(({ active }, labels) => [{ labels, value: active }]),
  },
  {
    name: 'headgate_http_requests_refused_total',
    type: 'counter',
    help: 'Requests that a route has refused, by why',
    read: byRoute(({ refused }, labels) =>
      Object.entries(refused).map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
    ),
  },
  {
    name: 'headgate_http_requests_timed_out_total',
    type: 'counter',
    help: 'Requests that took too long, by what for',
    read: byRoute(({ late }, labels) =>
      Object.entries(late).map(([reason, value]) => ({ labels: { ...labels, reason }, value })),
    ),
  },
  times(
    'headgate_http_request_duration_seconds',
    'From the head of a request to the end of its response',
    ({ durations }) => durations,
  ),
  times(
    'headgate_http_time_to_first_byte_seconds',
    'From the head of a request to that of its response',
    ({ firstBytes }) => firstBytes,
  ),
];

type Read = MetricFamily['read'];
type Labels = { readonly listener: string; readonly route: string };

function byRoute(read: (route: RouteStatistics, labels: Labels) => readonly MetricSample[]): Read {
  return ({ routes }) =>
    routes.flatMap((one) => read(one, { listener: one.listener, route: one.route }));
}

/** Routes that nobody has asked for yet would be many lines of zeros. */
function times(
  name: string,
  help: string,
  pick: (route: RouteStatistics) => HistogramStatistics,
): MetricFamily {
  const read = byRoute((route, labels) => {
    const one = pick(route);
    return one.counts.some((count) => count > 0) ? histogramSamples(name, one, labels) : [];
  });
  return { name, type: 'histogram', help, read };
}
