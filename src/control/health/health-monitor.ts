import type { Logger } from 'pino';
import { type Clock, type Random, systemClock } from '../discovery/index.js';
import type { CheckedEndpoint, HealthCheck } from './check.js';
import { CheckSlots } from './check-slots.js';
import {
  EndpointHealth,
  type HealthChanged,
  type HealthFacts,
  type HealthSurroundings,
} from './endpoint-health.js';
import { HealthState } from './health-state.js';
import { type MakeProbe, makeProbe } from './probe.js';

const CHECKS_MAX = 64;

export interface HealthMonitorOptions {
  readonly logger: Logger;
  /** Checks that are under way at a time, over all upstreams; 64 by default. */
  readonly checksMax?: number;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Makes the checks; with real connections by default. */
  readonly makeProbe?: MakeProbe;
}

/** One endpoint under watch. */
export interface HealthWatch {
  readonly state: HealthState;
  /** Of the last check; empty before. */
  readonly reason: string;
  /** Nothing is told afterwards. */
  stop(): void;
}

/** The active checks of all upstreams. */
export class HealthMonitor {
  private readonly watched = new Set<EndpointHealth>();
  private readonly surroundings: HealthSurroundings;

  constructor(options: HealthMonitorOptions) {
    const { logger, clock = systemClock, random = Math.random, checksMax = CHECKS_MAX } = options;
    this.surroundings = {
      logger,
      clock,
      random,
      slots: new CheckSlots(checksMax),
      makeProbe: options.makeProbe ?? makeProbe,
    };
  }

  /**
   * Checks an endpoint now, and then at the check's intervals. An endpoint that is watched twice, for two upstreams,
   * is checked for each of them, but never at the same time.
   *
   * @param onChange never called before this returns
   * @param state what an earlier watch found, so that a reload does not forget who is down
   */
  watch(
    endpoint: CheckedEndpoint,
    check: HealthCheck,
    onChange: HealthChanged,
    state: Exclude<HealthState, 'stopped'> = HealthState.unknown,
  ): HealthWatch {
    const health = new EndpointHealth(endpoint, check, state, this.surroundings, onChange);
    this.watched.add(health);
    return {
      get state() {
        return health.state;
      },
      get reason() {
        return health.reason;
      },
      stop: () => {
        health.stop();
        this.watched.delete(health);
      },
    };
  }

  /** One entry per watch. */
  facts(): HealthFacts[] {
    return [...this.watched].map(({ facts }) => facts);
  }

  /** Ends all watches and what they have under way; leaves neither timers nor sockets. */
  stop(): void {
    this.surroundings.slots.close();
    for (const health of this.watched) health.stop();
    this.watched.clear();
  }
}
