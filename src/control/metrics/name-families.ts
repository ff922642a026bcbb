import { NameState } from '../discovery/index.js';
import type { MetricFamily } from './families.js';

/** How those names are that endpoints are found by, each for all upstreams that have it. */
export const nameFamilies: readonly MetricFamily[] = [
  {
    name: 'headgate_name_state',
    type: 'gauge',
    help: '1 for the state each name is in that endpoints are found by, 0 for the others',
    read: ({ names }) =>
      names.flatMap(({ name, state }) =>
        watchedStates.map((one) => ({
          labels: { name, state: one },
          value: state === one ? 1 : 0,
        })),
      ),
  },
  {
    name: 'headgate_name_endpoints',
    type: 'gauge',
    help: 'Endpoints that the last good answer had',
    read: ({ names }) =>
      names.map(({ name, endpoints }) => ({ labels: { name }, value: endpoints })),
  },
  {
    name: 'headgate_name_answer_age_seconds',
    type: 'gauge',
    help: 'Time since the last good answer',
    read: ({ names }) =>
      names.flatMap(({ name, answerAgeMs }) =>
        answerAgeMs === undefined ? [] : [{ labels: { name }, value: answerAgeMs / 1000 }],
      ),
  },
  {
    name: 'headgate_name_lookups_total',
    type: 'counter',
    help: 'Lookups that are over, by how they ended',
    read: ({ names }) =>
      names.flatMap(({ name, lookups }) =>
        Object.entries(lookups).flatMap(([outcome, value]) =>
          value === 0 && outcome !== 'answered' ? [] : [{ labels: { name, outcome }, value }],
        ),
      ),
  },
];

/** A name that nobody watches is not among them. */
const watchedStates = Object.values(NameState).filter((state) => state !== NameState.stopped);
