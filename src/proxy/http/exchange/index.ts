/**
 * One request and its response (`exchange.ts`, its states in `exchange-state.ts`): what goes to the endpoint
 * (`upstream-request.ts`) and to the client (`client-response.ts`, or `local-answer.ts` where it is ours), the bodies
 * on their way (`body-relay.ts`), how long each step is waited for (`patience.ts`), and what is counted at the end.
 */
export type { BodySource, ProducedAnswer, ReadyAnswer } from './body-source.js';
export { ClientResponse } from './client-response.js';
export { Exchange } from './exchange.js';
export { ExchangeState } from './exchange-state.js';
export { RelayResult } from './relay-result.js';
export { UpstreamRequest } from './upstream-request.js';
