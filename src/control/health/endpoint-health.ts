import type { Logger } from 'pino';
import { type Clock, jittered, type Random, type Timer } from '../discovery/index.js';
import type { CheckedEndpoint, HealthCheck } from './check.js';
import type { Checker, CheckSlots } from './check-slots.js';
import { HealthState, healthSuccessors } from './health-state.js';
import type { MakeProbe } from './probe.js';
import type { Outcome, Verdict } from './verdict.js';

/** What one endpoint has in common with all others. */
export interface HealthSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly slots: CheckSlots;
  readonly makeProbe: MakeProbe;
}

/** @param from `unknown` or the other one */
export type HealthChanged = (state: 'up' | 'down', reason: string, from: HealthState) => void;

/** Numbers about one endpoint, for the metrics. */
export interface HealthFacts {
  readonly upstream: string;
  /** `127.0.0.1:3000` */
  readonly endpoint: string;
  readonly state: HealthState;
  /** How long it has been in that state. */
  readonly stateMs: number;
  /** Of the last check; empty before. */
  readonly reason: string;
  /** How long the last check took; undefined before. */
  readonly checkMs: number | undefined;
  readonly checks: Readonly<Record<Outcome, number>>;
}

interface Change {
  readonly from: HealthState;
  readonly to: 'up' | 'down';
}

/**
 * One endpoint that is checked again and again. Either a timer runs, or it waits in line for a check, or a check
 * is under way.
 */
export class EndpointHealth implements Checker {
  readonly key: string;
  state: HealthState;
  /** Of the last check; empty before. */
  reason = '';
  private stateSinceMs: number;
  private readonly checks: Record<Outcome, number> = { pass: 0, fail: 0, inconclusive: 0 };
  /** In a row. */
  private passes = 0;
  private failures = 0;
  /** The last check was inconclusive. */
  private isBlind = false;
  private begunAtMs = 0;
  private checkMs: number | undefined;
  private timer: Timer | undefined;
  private cancelProbe: (() => void) | undefined;

  /** @param state what is known from before, `unknown` if nothing is */
  constructor(
    private readonly endpoint: CheckedEndpoint,
    private readonly check: HealthCheck,
    state: HealthState,
    private readonly surroundings: HealthSurroundings,
    private readonly onChange: HealthChanged,
  ) {
    this.key = endpoint.address.text;
    this.state = state;
    this.stateSinceMs = surroundings.clock.now();
    this.surroundings.slots.enter(this);
  }

  get facts(): HealthFacts {
    return {
      upstream: this.endpoint.upstream,
      endpoint: this.key,
      state: this.state,
      stateMs: this.surroundings.clock.now() - this.stateSinceMs,
      reason: this.reason,
      checkMs: this.checkMs,
      checks: { ...this.checks },
    };
  }

  get isDown(): boolean {
    return this.state === HealthState.down;
  }

  /** Ends a check that is under way; nothing is told afterwards. */
  stop(): void {
    if (this.state === HealthState.stopped) return;
    this.enter(HealthState.stopped);
    this.timer?.cancel();
    this.cancelProbe?.();
    this.surroundings.slots.leave(this);
  }

  /** Called by the slots. */
  admitted(): void {
    const { clock, makeProbe } = this.surroundings;
    this.begunAtMs = clock.now();
    this.cancelProbe = makeProbe(this.endpoint, this.check, clock, (verdict) =>
      this.judge(verdict),
    );
  }

  private judge(verdict: Verdict): void {
    const { clock, random, slots } = this.surroundings;
    this.cancelProbe = undefined;
    this.checkMs = clock.now() - this.begunAtMs;
    this.checks[verdict.outcome]++;
    this.reason = verdict.reason;
    const change = this.weigh(verdict);
    // What is left of the interval, which began with the check.
    const { intervalMs, fastIntervalMs = intervalMs } = this.check;
    const wantedMs = jittered(this.isSettled ? intervalMs : fastIntervalMs, random);
    const delayMs = Math.max(0, wantedMs - this.checkMs);
    this.timer = clock.setTimeout(() => slots.enter(this), delayMs);
    slots.leave(this);
    if (change !== undefined) this.onChange(change.to, verdict.reason, change.from);
  }

  /** Counts a verdict, and changes the state when it is the last of enough in a row. */
  private weigh({ outcome, reason }: Verdict): Change | undefined {
    if (outcome === 'inconclusive') {
      if (!this.isBlind) this.log('warn', 'an endpoint cannot be checked', { reason });
      this.isBlind = true;
      return undefined;
    }
    this.isBlind = false;
    this.passes = outcome === 'pass' ? this.passes + 1 : 0;
    this.failures = outcome === 'fail' ? this.failures + 1 : 0;
    if (this.state !== HealthState.up && this.passes >= this.check.rise) {
      return this.change(HealthState.up, reason);
    }
    if (this.state !== HealthState.down && this.failures >= this.check.fall) {
      return this.change(HealthState.down, reason);
    }
    return undefined;
  }

  private change(to: Change['to'], reason: string): Change {
    const from = this.state;
    const afterMs = Math.round(this.surroundings.clock.now() - this.stateSinceMs);
    this.enter(to);
    const level = to === HealthState.up ? 'info' : 'warn';
    this.log(level, `endpoint is ${to}`, { from, to, reason, after_ms: afterMs });
    return { from, to };
  }

  /** Whether the last verdict and the state agree. */
  private get isSettled(): boolean {
    if (this.state === HealthState.up) return this.failures === 0;
    return this.state === HealthState.down && this.passes === 0;
  }

  private enter(next: HealthState): void {
    if (!healthSuccessors[this.state].includes(next)) {
      throw new Error(`an endpoint cannot go ${this.state} → ${next}`);
    }
    this.state = next;
    this.stateSinceMs = this.surroundings.clock.now();
  }

  private log(level: 'info' | 'warn', message: string, fields: object): void {
    const { upstream } = this.endpoint;
    this.surroundings.logger[level]({ upstream, endpoint: this.key, ...fields }, message);
  }
}
