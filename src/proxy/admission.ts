import { hostLength, hostOffset } from '../splice/index.js';
import { type Network, NetworkSet } from './network-set.js';
import { ConnectionLimit } from './room.js';
import { SourceLimit, sourceKey } from './source-limit.js';

/** Who may connect to a listener, and how many at a time; without any of it there is nothing to check. */
export interface AdmissionSnapshot {
  /** Empty: everybody. */
  readonly allow: readonly Network[];
  readonly deny: readonly Network[];
  readonly connections: SharedLimit | undefined;
  readonly connectionsPerSource: SharedLimit | undefined;
  /** Who admits: what it counts, it counts as its own, too. */
  readonly worker: number;
}

/** A limit that all workers and all addresses of a listener keep together. */
export interface SharedLimit {
  readonly max: number;
  /** Made by {@link ConnectionLimit} or {@link SourceLimit}. */
  readonly shared: SharedArrayBuffer;
}

/** What becomes of a connection that was accepted; admitted where a source's place was taken or none is needed. */
export const Verdict = { Admitted: 0, Denied: 1, SourceLimit: 2 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

/** Admitted without a place in the count of sources. */
export const NO_SOURCE = -1;

/**
 * Decides at accept4(2) whether a connection is served, by the address that call wrote: without a
 * system call and without memory of its own.
 */
export class Admission {
  /** Whether {@link decide} has to be asked, and accept4(2) for the address. */
  readonly readsSource: boolean;
  private readonly allow: NetworkSet;
  private readonly deny: NetworkSet;
  private readonly connections: ConnectionLimit | undefined;
  private readonly sources: SourceLimit | undefined;
  /** Whose place the last admitted connection took; goes to {@link leave} when it ends. */
  source = NO_SOURCE;

  constructor(snapshot: AdmissionSnapshot) {
    const { allow, deny, connections, connectionsPerSource, worker } = snapshot;
    this.allow = new NetworkSet(allow);
    this.deny = new NetworkSet(deny);
    this.connections =
      connections && new ConnectionLimit(connections.shared, connections.max, worker);
    this.sources =
      connectionsPerSource &&
      new SourceLimit(connectionsPerSource.shared, connectionsPerSource.max, worker);
    this.readsSource = !this.allow.isEmpty || !this.deny.isEmpty || this.sources !== undefined;
  }

  /** Takes a place among the listener's connections, if there is one. */
  enter(): boolean {
    return this.connections?.enter() ?? true;
  }

  /** Gives the place back. @param source {@link Admission.source} as it was when the connection came */
  leave(source: number): void {
    this.connections?.leave();
    if (source !== NO_SOURCE) this.sources?.leave(source);
  }

  /** @param sockaddr what accept4(2) wrote */
  decide(sockaddr: Buffer): Verdict {
    this.source = NO_SOURCE;
    const offset = hostOffset(sockaddr);
    // The client of a unix socket: the permissions of its file have decided already.
    if (offset < 0) return Verdict.Admitted;
    return this.decideBy(sockaddr, offset, hostLength(offset));
  }

  private decideBy(bytes: Buffer, offset: number, length: 4 | 16): Verdict {
    if (this.deny.has(bytes, offset, length)) return Verdict.Denied;
    if (!this.allow.isEmpty && !this.allow.has(bytes, offset, length)) return Verdict.Denied;
    if (this.sources === undefined) return Verdict.Admitted;
    // NO_SOURCE is one of 2³² keys: its client shares a place with its neighbour.
    const key = sourceKey(bytes, offset, length);
    const source = key === NO_SOURCE ? 0 : key;
    if (!this.sources.enter(source)) return Verdict.SourceLimit;
    this.source = source;
    return Verdict.Admitted;
  }
}
