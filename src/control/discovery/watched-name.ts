import type { Logger } from 'pino';
import type { Clock, Timer } from './clock.js';
import type { DnsClient } from './dns-client.js';
import type { FoundEndpoint } from './endpoint.js';
import { jittered, type Random } from './jitter.js';
import { NameLog } from './name-log.js';
import { NameState, nameSuccessors } from './name-state.js';
import {
  type Found,
  type LookupFailure,
  type LookupOutcome,
  lookupOutcomes,
  outcomeReasons,
} from './outcome.js';

/** A lookup is over by then: search list, all families, all targets of a service. */
const LOOKUP_TIMEOUT_MS = 10_000;
/** A TTL is believed between these. */
const TTL_MS_MIN = 1_000;
const TTL_MS_MAX = 300_000;
/** Failures in a row are 1, 2, 4 … 30 seconds apart. */
const RETRY_MS_MIN = 1_000;
const RETRY_MS_MAX = 30_000;

/** One way to find endpoints: by host or by service. */
export type Lookup = (client: DnsClient) => Promise<LookupAnswer>;

export type LookupAnswer = Found<GoodAnswer>;

interface GoodAnswer {
  readonly endpoints: readonly FoundEndpoint[];
  readonly ttlMs: number;
  /** What did not answer this time, for the log; its endpoints are those it had before. */
  readonly missing: readonly string[];
}

/** What one name has in common with all others. */
export interface NameSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  makeClient(): DnsClient;
}

/** Numbers about one name, for the metrics. */
export interface NameFacts {
  /** As asked for: `db.example.com`, `srv:_pg._tcp.example.com`. */
  readonly name: string;
  readonly state: NameState;
  readonly endpoints: number;
  /** Since the name is watched. */
  readonly lookups: Readonly<Record<LookupOutcome, number>>;
  /** Since the last good answer; undefined while there was none. */
  readonly answerAgeMs: number | undefined;
}

/**
 * A name that is looked up for as long as somebody watches it: after its TTL, or, after a failure, with exponential
 * back-off. Either a lookup is under way or a timer runs, never both.
 */
export class WatchedName {
  /** Of the last good answer. */
  endpoints: readonly FoundEndpoint[] = [];
  /** Settles with the first lookup, or when it is given up. */
  readonly first: Promise<LookupOutcome | undefined>;
  private settleFirst!: (outcome: LookupOutcome | undefined) => void;
  private state: NameState = NameState.unknown;
  private stateSinceMs: number;
  private answeredAtMs: number | undefined;
  private readonly lookups = countNothing();
  private failures = 0;
  private readonly log: NameLog;
  private client: DnsClient | undefined;
  private timer: Timer | undefined;

  /** @param onAnswer called after every good answer, changed or not */
  constructor(
    private readonly name: string,
    private readonly lookup: Lookup,
    private readonly surroundings: NameSurroundings,
    private readonly onAnswer: () => void,
  ) {
    this.stateSinceMs = surroundings.clock.now();
    this.log = new NameLog(name, surroundings.logger);
    this.first = new Promise((resolve) => {
      this.settleFirst = resolve;
    });
    void this.ask();
  }

  get facts(): NameFacts {
    const { state, endpoints, lookups, answeredAtMs } = this;
    return {
      name: this.name,
      state,
      endpoints: endpoints.length,
      lookups: { ...lookups },
      answerAgeMs:
        answeredAtMs === undefined ? undefined : this.surroundings.clock.now() - answeredAtMs,
    };
  }

  /** Leaves neither a timer nor a socket; what is still under way ends unheard. */
  stop(): void {
    if (this.state === NameState.stopped) return;
    this.enter(NameState.stopped, 'nobody watches it');
    this.timer?.cancel();
    this.client?.cancel();
    this.settleFirst(undefined);
  }

  private async ask(): Promise<void> {
    const { clock, random, makeClient } = this.surroundings;
    const client = makeClient();
    this.client = client;
    this.timer = clock.setTimeout(() => client.cancel(), LOOKUP_TIMEOUT_MS);
    const answer = await this.lookup(client);
    this.client = undefined;
    if (this.state === NameState.stopped) return;
    this.timer.cancel();
    this.lookups[answer.outcome]++;
    const delayMs =
      answer.outcome === 'answered' ? this.accept(answer) : this.keepLast(answer.outcome);
    this.timer = clock.setTimeout(() => void this.ask(), jittered(delayMs, random));
    this.settleFirst(answer.outcome);
    if (answer.outcome === 'answered') this.onAnswer();
  }

  /** @returns when to ask again, milliseconds */
  private accept({ endpoints, ttlMs, missing }: GoodAnswer): number {
    const before = this.endpoints;
    this.endpoints = endpoints;
    this.answeredAtMs = this.surroundings.clock.now();
    this.failures = 0;
    if (this.state !== NameState.fresh) this.enter(NameState.fresh, outcomeReasons.answered);
    this.log.answered(before, endpoints);
    this.log.missed(missing);
    return Math.min(TTL_MS_MAX, Math.max(TTL_MS_MIN, ttlMs));
  }

  /** @returns when to ask again, milliseconds */
  private keepLast(outcome: LookupFailure): number {
    const next = this.answeredAtMs === undefined ? NameState.absent : NameState.stale;
    if (this.state !== next) this.enter(next, outcomeReasons[outcome]);
    return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** this.failures++);
  }

  private enter(next: NameState, reason: string): void {
    const from = this.state;
    if (!nameSuccessors[from].includes(next)) throw new Error(`a name cannot go ${from} → ${next}`);
    const nowMs = this.surroundings.clock.now();
    const afterMs = nowMs - this.stateSinceMs;
    this.state = next;
    this.stateSinceMs = nowMs;
    this.log.entered(from, next, reason, afterMs, this.endpoints.length);
  }
}

function countNothing(): Record<LookupOutcome, number> {
  return Object.fromEntries(lookupOutcomes.map((outcome) => [outcome, 0])) as Record<
    LookupOutcome,
    number
  >;
}
