/**
 * The room of active checks: is an endpoint there, and does it answer as it should? `check.ts` says what can be
 * asked, `probe.ts` asks once, `verdict.ts` has the words, `endpoint-health.ts` makes a state of many verdicts
 * (`health-state.ts` draws it), `check-slots.ts` keeps them few at a time, and `slow-start.ts` brings an endpoint
 * back gently. That real connections fail is noticed elsewhere, by the data plane.
 */
export type {
  CheckedEndpoint,
  HealthCheck,
  HttpCheck,
  StatusRange,
  TlsCheck,
} from './check.js';
export type { HealthChanged, HealthFacts } from './endpoint-health.js';
export { HealthMonitor, type HealthMonitorOptions, type HealthWatch } from './health-monitor.js';
export type { HealthState } from './health-state.js';
export type { MakeProbe } from './probe.js';
export { SlowStart } from './slow-start.js';
export type { Outcome, Verdict } from './verdict.js';
