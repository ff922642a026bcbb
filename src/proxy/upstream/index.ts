/**
 * Where flows go. The control thread's half: the endpoint table in shared memory, who has which
 * slot of it, and the verdicts it writes there. The worker's half: upstreams that choose among
 * their endpoints by a policy, count connections, learn from failed ones, and keep flows waiting
 * while every endpoint is full.
 */
export { Attempts } from './attempts.js';
export type { Endpoint } from './endpoint.js';
export { EndpointLedger } from './endpoint-ledger.js';
export { EndpointSlots, type SlotAssignment, type SlotRequest } from './endpoint-slots.js';
export { openEndpointSocket } from './endpoint-socket.js';
export { EndpointState, endpointStateNames, Health } from './endpoint-state.js';
export { ENDPOINT_SLOTS, EndpointTable, type SlotReading } from './endpoint-table.js';
export { type Balance, hashBytes, hashText } from './policy/index.js';
export { processMs } from './process-clock.js';
export type { Waiter } from './queue.js';
export { sourceKey, sourceKeyOf } from './source-key.js';
export { adviceFor, TlsTrouble } from './tls-trouble.js';
export { Selection, Upstream, type UpstreamRoom, type UpstreamTls } from './upstream.js';
