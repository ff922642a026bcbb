/**
 * Who may use a route, and how much: networks, passwords, a rate, requests at a time, the size of a body.
 * What is counted is counted for all workers, in memory that they share.
 */
export type { BasicAuthSnapshot } from './basic-auth.js';
export { RATE_LIMIT_BYTES, type RateSnapshot } from './rate-limit.js';
export { Refusal, type RefusalName, refusalNames, refusalStatus } from './refusal.js';
export { type GuardSnapshot, RouteGuard } from './route-guard.js';
