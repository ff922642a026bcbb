// What a suite is made of: scenarios, each measured for every peer in every round, each yielding a few metrics.
import type { Peer } from './peers/peer.js';

/** A bound on a metric of Headgate's: on its ratio to the reference peer's in the same run, or on the number itself. */
export interface Target {
  bound: 'at least' | 'at most';
  value: number;
  of: 'ratio' | 'number';
}

export interface Metric {
  key: string;
  /** Heading of the column, unit included. */
  title: string;
  /** Digits after the point. */
  digits: number;
  target?: Target;
}

/** One measurement: a value for each of the scenario's metrics, and the command lines that made them. */
export interface Measurement {
  values: Record<string, number>;
  commands: string[];
}

/** The same for every measurement of a run. */
export interface Conditions {
  /** Length of the measured load; a warm-up of a second or more goes before it and is not counted. */
  seconds: number;
  /** A directory for configuration files, removed after the run. */
  directory: string;
  /** Where the proxy runs, and where the load and the upstream run, as `taskset -c` lists. */
  cpus: { proxy: string | undefined; load: string | undefined };
}

export interface Scenario {
  name: string;
  /** Names of peers that have no way to do this. */
  excludes?: readonly string[];
  title: string;
  metrics: readonly Metric[];
  /** What this machine lacks for it, or null. */
  missing(): Promise<string | null>;
  /** Starts everything anew, warms up, measures, stops everything. Throws when the measurement is not valid. */
  measure(peer: Peer, conditions: Conditions): Promise<Measurement>;
}

/** What `npm run bench -- NAME` measures. */
export interface Suite {
  name: string;
  scenarios: readonly Scenario[];
  peers: readonly Peer[];
  /** Names of the peers that ratios and targets refer to, unless `--reference` says otherwise. */
  references: readonly string[];
}
