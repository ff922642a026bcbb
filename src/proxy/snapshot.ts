import type { SocketAddress } from '../splice/index.js';

/**
 * What a worker is told: the configuration as the data plane needs it, plain data that crosses the
 * thread boundary by structured clone. Descriptors are numbers of this process, valid in every
 * thread of it.
 */
export interface WorkerSnapshot {
  /** Position among the workers, from 0. */
  readonly worker: number;
  /** Core to run on, or −1 to leave that to the kernel. */
  readonly core: number;
  readonly listeners: readonly ListenerSnapshot[];
  readonly upstreams: readonly UpstreamSnapshot[];
  readonly timeouts: TimeoutsSnapshot;
  readonly limits: LimitsSnapshot;
  readonly log: { readonly level: string; readonly access: boolean };
}

/** One listening socket of one worker; a listener with two addresses has two of these. */
export interface ListenerSnapshot {
  readonly name: string;
  /** Position of the listener's counters. */
  readonly index: number;
  /** A listening socket that belongs to this worker from now on. */
  readonly fd: number;
  /** For log lines: the address as bound. */
  readonly address: string;
  readonly family: SocketAddress['family'];
  /** Position in {@link WorkerSnapshot.upstreams}. */
  readonly upstream: number;
}

export interface UpstreamSnapshot {
  readonly name: string;
  readonly endpoints: readonly SocketAddress[];
}

/** All in milliseconds. */
export interface TimeoutsSnapshot {
  readonly connectMs: number;
  readonly idleMs: number;
}

export interface LimitsSnapshot {
  /** Flows of all workers together. */
  readonly connectionsMax: number;
  /** Capacity of this worker's pipes, bytes. */
  readonly pipeMemoryBytes: number;
  /** Capacity to ask for each pipe, bytes. */
  readonly pipeBytes: number;
}
