import { sessionsOf } from './flow-report.js';
import { HeadPolicy } from './head-policy.js';
import { Listener } from './listener.js';
import type { WorkerRoom } from './room.js';
import type { ListenerSnapshot, UpstreamSnapshot } from './snapshot.js';
import { type EndpointLedger, Upstream } from './upstream/index.js';

/** The part of a snapshot that says where connections come in and where they go. */
export interface GatesSnapshot {
  readonly listeners: readonly ListenerSnapshot[];
  readonly upstreams: readonly UpstreamSnapshot[];
}

/**
 * The listeners of one worker and the upstreams behind them, and how they are exchanged while flows
 * go on. A flow keeps the listener it came in by, and, once it is connected, the upstream it went
 * to; what waits or is connecting goes on with the upstream of the same name.
 */
export class Gates {
  /** By descriptor. */
  private listeners: Map<number, Listener>;
  private upstreams: Upstream[];

  constructor(
    private readonly room: WorkerRoom,
    private readonly ledger: EndpointLedger,
    snapshot: GatesSnapshot,
  ) {
    this.upstreams = this.makeUpstreams(snapshot.upstreams);
    this.listeners = this.makeListeners(snapshot.listeners);
  }

  open(): void {
    for (const listener of this.listeners.values()) listener.open();
  }

  /** There is room again: for the listener, or for the one that has its socket now. */
  resume({ snapshot }: Listener): void {
    this.listeners.get(snapshot.fd)?.resume();
  }

  /** Takes what the kernel has queued, then accepts nothing more. */
  close(): void {
    for (const listener of this.listeners.values()) listener.close();
  }

  /** What has taken an upstream's place since a flow began to read its head. */
  current(upstream: Upstream): Upstream {
    return this.upstreams.find(({ name }) => name === upstream.name) ?? upstream;
  }

  /** @param snapshots the same upstreams in the same order, with other endpoints */
  replaceUpstreams(snapshots: readonly UpstreamSnapshot[]): void {
    this.upstreams = this.makeUpstreams(snapshots);
    for (const listener of this.listeners.values()) {
      listener.upstream = this.upstreams[listener.snapshot.upstream]!;
      listener.head = HeadPolicy.of(listener.snapshot, this.upstreams);
    }
    this.moveSessions();
  }

  /** Sockets that stay keep what is queued in them; those that are not in the snapshot are emptied and closed. */
  configure({ listeners, upstreams }: GatesSnapshot): void {
    const earlier = this.listeners;
    this.upstreams = this.makeUpstreams(upstreams);
    this.listeners = this.makeListeners(listeners);
    for (const [fd, listener] of earlier) if (this.listeners.has(fd)) listener.handOver();
    this.open();
    for (const [fd, listener] of earlier) if (!this.listeners.has(fd)) listener.close();
    this.moveSessions();
  }

  private makeUpstreams(snapshots: readonly UpstreamSnapshot[]): Upstream[] {
    const { clock, log } = this.room;
    return snapshots.map((one) => new Upstream(one, { clock, log, ledger: this.ledger }));
  }

  private makeListeners(snapshots: readonly ListenerSnapshot[]): Map<number, Listener> {
    return new Map(
      snapshots.map((one) => {
        const { upstreams } = this;
        const head = HeadPolicy.of(one, upstreams);
        return [one.fd, new Listener(this.room, one, upstreams[one.upstream]!, head)];
      }),
    );
  }

  /** In the order they came, which is the order they wait in. */
  private moveSessions(): void {
    const byName = new Map(this.upstreams.map((one) => [one.name, one]));
    const sessions = [...sessionsOf(this.room.clock.registered())]
      .filter(({ isUnconnected }) => isUnconnected)
      .sort((one, other) => one.sequence - other.sequence);
    for (const session of sessions) {
      const successor = session.upstream && byName.get(session.upstream.name);
      if (successor === undefined || successor === session.upstream) continue;
      try {
        session.moveTo(successor);
      } catch (error) {
        session.onException(error);
      }
    }
  }
}
