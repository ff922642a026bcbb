import type { Config, ListenerConfig } from '../config/index.js';
import { type AdmissionSnapshot, SOURCE_LIMIT_BYTES } from '../proxy/index.js';

/** The memory in which all workers count a listener's connections. */
interface CountedTogether {
  readonly connections: SharedArrayBuffer;
  /** Once a limit needed it: it is half a megabyte. */
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

  /** What all workers need to admit connections, by listener. */
  of({ listeners }: Config): ReadonlyMap<string, AdmissionSnapshot> {
    return new Map(listeners.map((listener) => [listener.name, this.admission(listener)]));
  }

  private admission({ name, allow, deny, limits }: ListenerConfig): AdmissionSnapshot {
    const { connectionsMax, connectionsPerSourceMax } = limits;
    const counted = this.counted.get(name) ?? {
      connections: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
      perSource: undefined,
    };
    this.counted.set(name, counted);
    if (connectionsPerSourceMax !== null) {
      counted.perSource ??= new SharedArrayBuffer(SOURCE_LIMIT_BYTES);
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
