import type { Config, ListenerConfig } from '../../config/index.js';
import { type AdmissionSnapshot, ConnectionLimit, SourceLimit } from '../../proxy/index.js';
import { RouteMemory } from '../statistics/index.js';

/** What one worker is told, but for which one it is. */
export type SharedAdmission = Omit<AdmissionSnapshot, 'worker'>;

/** The memory in which all workers count a listener's connections. */
interface CountedTogether {
  readonly connections: SharedArrayBuffer;
  /** Once a limit needed it: it is half a megabyte, and as much again for each worker. */
  perSource: SharedArrayBuffer | undefined;
}

/**
 * Who may connect to which listener. What is counted belongs to a listener's name and outlives a
 * reload, as its other counters do: connections that are there count against the limits that come.
 *
 * Connections are counted whether or not there is a limit, so that one which a reload brings is exact
 * at once. Sources are counted only under a limit: clients who came before the first one are not in it.
 */
export class Admissions {
  private readonly counted = new Map<string, CountedTogether>();

  /** The same for routes of HTTP listeners. */
  readonly routes: RouteMemory;

  constructor(private readonly workers: number) {
    this.routes = new RouteMemory(workers);
  }

  /** What all workers need to admit connections, by listener. */
  of({ listeners }: Config): ReadonlyMap<string, SharedAdmission> {
    return new Map(listeners.map((listener) => [listener.name, this.admission(listener)]));
  }

  /** The worker is dead; its places are free. */
  forgetWorker(worker: number): void {
    this.routes.forgetWorker(worker);
    for (const { connections, perSource } of this.counted.values()) {
      new ConnectionLimit(connections, 0, worker).forgetWorker();
      if (perSource !== undefined) new SourceLimit(perSource, 0, worker).forgetWorker();
    }
  }

  private admission({ name, allow, deny, limits }: ListenerConfig): SharedAdmission {
    const { connectionsMax, connectionsPerSourceMax } = limits;
    const counted = this.counted.get(name) ?? {
      connections: ConnectionLimit.createMemory(this.workers),
      perSource: undefined,
    };
    this.counted.set(name, counted);
    if (connectionsPerSourceMax !== null) {
      counted.perSource ??= SourceLimit.createMemory(this.workers);
    }
    return {
      allow,
      deny,
      connections: { max: connectionsMax ?? Number.POSITIVE_INFINITY, shared: counted.connections },
      connectionsPerSource:
        connectionsPerSourceMax === null
          ? undefined
          : { max: connectionsPerSourceMax, shared: counted.perSource! },
    };
  }
}
