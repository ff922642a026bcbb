/** The programmatic entry: a proxy inside a Node program. */
/// <reference types="node" preserve="true" />
import { type Config, formatProblem, loadConfig } from './config/index.js';
import {
  type ListeningAddress,
  type ReloadResult,
  type Statistics,
  Supervisor,
} from './control/index.js';

export {
  formatProblem,
  type Loaded,
  type LoadOptions,
  loadConfig,
  type Problem,
  readConfig,
} from './config/index.js';
export type {
  CaptureStatistics,
  DirectionStatistics,
  EndpointStatistics,
  HistogramStatistics,
  ListenerStatistics,
  RouteStatistics,
  UpstreamStatistics,
  Validity,
} from './control/index.js';
export type { Config, ListeningAddress, ReloadResult, Statistics };

/** A running proxy. */
export interface Headgate {
  /** Where it accepts connections, ports as bound. */
  readonly addresses: readonly ListeningAddress[];
  /** `http://127.0.0.1:9901/` or `unix:/path`, where the configuration has `admin`. */
  readonly adminAddress: string | undefined;
  /** Settles when it has stopped; rejects when a worker died of a bug while it did. */
  readonly stopped: Promise<void>;
  /** Counters of all workers, added up; costs the data path nothing. */
  stats(): Statistics;
  /**
   * Puts another configuration in force; established flows go on. All of it or nothing.
   * @throws Error with one line a problem when the text is not a valid configuration
   */
  reload(config: Config | string): Promise<ReloadResult>;
  /**
   * Stops accepting and lets flows end.
   * @param timeoutMs flows left by then are reset; `timeouts.drain` by default
   */
  drain(timeoutMs?: number): Promise<void>;
  /** Resets every flow and stops. */
  close(): Promise<void>;
}

/**
 * Starts a proxy.
 *
 * @param config what {@link loadConfig} made, or the text of a YAML configuration
 * @returns once every listener accepts
 * @throws Error with one line a problem when the text is not a valid configuration; SystemCallError
 *   when an address cannot be bound
 */
export async function start(config: Config | string): Promise<Headgate> {
  const supervisor = await Supervisor.start(configOf(config));
  return {
    get addresses() {
      return supervisor.addresses;
    },
    adminAddress: supervisor.adminAddress,
    stopped: supervisor.stopped,
    stats: () => supervisor.statistics(),
    reload: async (next) => supervisor.reload(configOf(next)),
    drain: (timeoutMs) => supervisor.drain(timeoutMs),
    close: () => supervisor.close(),
  };
}

/** @throws TypeError for what only TypeScript would have refused: keys of a file as an object, all that loadConfig answers */
function configOf(config: Config | string): Config {
  if (typeof config === 'string') return load(config);
  if (Array.isArray(config?.listeners)) return config;
  throw new TypeError(
    'expected the text of a configuration, or the `config` that loadConfig made of it',
  );
}

function load(text: string): Config {
  const loaded = loadConfig(text);
  if (loaded.ok) return loaded.config;
  throw new Error(loaded.problems.map(formatProblem).join('\n'));
}
