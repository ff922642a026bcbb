import { endpointStateNames, statusClasses } from '../../proxy/index.js';
import type { EndpointStatistics } from '../upstreams/index.js';
import type { MetricFamily } from './families.js';

/** What is known of upstreams and each of their endpoints, over all workers. */
export const endpointFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_upstream_queue',
    type: 'gauge',
    help: 'Client connections that wait for a place at an endpoint',
    read: ({ upstreams }) =>
      upstreams.map(({ name, waiting }) => ({ labels: { upstream: name }, value: waiting })),
  },
  {
    name: 'headgate_endpoint_state',
    type: 'gauge',
    help: '1 for the state each endpoint is in, 0 for the others',
    read: ({ upstreams }) =>
      upstreams.flatMap(({ name, endpoints }) =>
        endpoints.flatMap(({ address, state }) =>
          endpointStateNames.map((stateName, index) => ({
            labels: { upstream: name, endpoint: address, state: stateName },
            value: state === index ? 1 : 0,
          })),
        ),
      ),
  },
  byEndpoint(
    'gauge',
    'headgate_endpoint_weight',
    'Weight in effect: less than configured during slow start',
    ({ weight }) => weight,
  ),
  byEndpoint(
    'gauge',
    'headgate_endpoint_connections_active',
    'Connections to the endpoint that are in use, those being made included',
    ({ active }) => active,
  ),
  byEndpoint(
    'counter',
    'headgate_endpoint_connects_total',
    'Connections to the endpoint that were made',
    ({ connects }) => connects,
  ),
  byEndpoint(
    'counter',
    'headgate_endpoint_failures_total',
    'Connections to the endpoint that failed and were held against it',
    ({ failures }) => failures,
  ),
  {
    name: 'headgate_endpoint_requests_total',
    type: 'counter',
    help: 'HTTP requests that the endpoint was sent and that are over, by class of its response',
    read: ({ upstreams }) =>
      upstreams.flatMap(({ name, endpoints }) =>
        endpoints.flatMap(({ address, responses }) =>
          responses.flatMap((value, index) =>
            value === 0
              ? []
              : [
                  {
                    labels: {
                      upstream: name,
                      endpoint: address,
                      status_class: statusClasses[index]!,
                    },
                    value,
                  },
                ],
          ),
        ),
      ),
  },
  byEndpoint(
    'counter',
    'headgate_endpoint_ejections_total',
    'Times the endpoint was ejected',
    ({ ejections }) => ejections,
  ),
];

function byEndpoint(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  pick: (endpoint: EndpointStatistics) => number,
): MetricFamily {
  return {
    name,
    type,
    help,
    read: ({ upstreams }) =>
      upstreams.flatMap((upstream) =>
        upstream.endpoints.map((endpoint) => ({
          labels: { upstream: upstream.name, endpoint: endpoint.address },
          value: pick(endpoint),
        })),
      ),
  };
}
