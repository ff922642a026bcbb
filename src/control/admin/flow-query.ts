import { type FlowQuery, type SessionStateName, sessionStateNames } from '../../proxy/index.js';

const LIMIT = 100;
const LIMIT_MAX = 10_000;
const SORTS: readonly string[] = ['age', 'bytes'] satisfies FlowQuery['sort'][];
const STATES: readonly string[] = sessionStateNames;
const KEYS = ['listener', 'upstream', 'client', 'state', 'sort', 'limit'];

/**
 * Reads the query of `GET /api/flows`.
 *
 * @returns what is asked for, or one sentence that says what is wrong with it
 */
export function parseFlowQuery(parameters: URLSearchParams): FlowQuery | string {
  for (const key of parameters.keys()) {
    if (!KEYS.includes(key)) return `unknown parameter "${key}", expected ${KEYS.join(', ')}`;
    if (parameters.getAll(key).length > 1) return `${key} is there twice`;
  }
  const { listener, upstream, client, state, sort, limit } = Object.fromEntries(parameters);
  if (state !== undefined && !STATES.includes(state)) {
    return `state is "${state}", expected ${STATES.join(', ')}`;
  }
  if (sort !== undefined && !SORTS.includes(sort)) {
    return `sort is "${sort}", expected ${SORTS.join(' or ')}`;
  }
  if (limit !== undefined && !(/^\d{1,5}$/.test(limit) && +limit >= 1 && +limit <= LIMIT_MAX)) {
    return `limit is "${limit}", expected a whole number from 1 to ${LIMIT_MAX}`;
  }
  return {
    ...(listener !== undefined && { listener }),
    ...(upstream !== undefined && { upstream }),
    ...(client !== undefined && { client }),
    ...(state !== undefined && { state: state as SessionStateName }),
    sort: (sort as FlowQuery['sort'] | undefined) ?? 'age',
    limit: limit === undefined ? LIMIT : Number(limit),
  };
}
