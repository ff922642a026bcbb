import type { ContextCache } from './context-cache.js';
import { sessionsOf } from './flow-report.js';
import { HeadPolicy } from './head-policy.js';
import { HttpGate, HttpRoom, HttpService } from './http/index.js';
import { Listener } from './listener.js';
import type { NameAnswer } from './messages.js';
import { Mirror } from './mirror/index.js';
import type { WorkerRoom } from './room.js';
import type { ListenerSnapshot, UpstreamSnapshot } from './snapshot.js';
import { Timer, type TimerOwner } from './timer-wheel.js';
import { type EndpointLedger, Upstream } from './upstream/index.js';

/** The part of a snapshot that says where connections come in and where they go. */
export interface GatesSnapshot {
  readonly listeners: readonly ListenerSnapshot[];
  readonly upstreams: readonly UpstreamSnapshot[];
}

/** What a handshake may take: round trips around the globe, and more. */
const RETIRE_MS = 500;

/**
 * The listeners of one worker and the upstreams behind them, and how they are exchanged while flows
 * go on. A flow keeps the listener it came in by, and, once it is connected, the upstream it went
 * to; what waits or is connecting goes on with the upstream of the same name.
 */
export class Gates implements TimerOwner {
  /** By descriptor. */
  private listeners: Map<number, Listener>;
  /** What is made of the configuration has this list, and finds there whoever takes an upstream's place. */
  private upstreams: Upstream[];
  /** By name: their positions in that list. */
  private positions: ReadonlyMap<string, number>;
  /** Made when the first listener speaks HTTP. */
  private http: HttpRoom | undefined;
  /** Not found by new clients any more, and not closed yet. */
  private retired: Listener[] = [];
  private whenClosed: (() => void)[] = [];
  private readonly timer = new Timer(this);

  constructor(
    private readonly room: WorkerRoom,
    private readonly ledger: EndpointLedger,
    private readonly contexts: ContextCache,
    snapshot: GatesSnapshot,
  ) {
    this.upstreams = this.makeUpstreams(snapshot.upstreams);
    this.positions = positionsOf(this.upstreams);
    this.listeners = this.makeListeners(snapshot.listeners);
  }

  /** Buffers that HTTP connections hold. */
  get buffersInUse(): number {
    return this.http === undefined ? 0 : this.http.buffers.inUse;
  }

  open(): void {
    for (const listener of this.listeners.values()) listener.open();
  }

  /** A name was looked up that a client has asked for. */
  nameFound(answer: NameAnswer): void {
    this.http?.outbound.names.answer(answer);
  }

  /** There is room again: for the listener, or for the one that has its socket now. */
  resume({ snapshot }: Listener): void {
    this.listeners.get(snapshot.fd)?.resume();
  }

  /** Takes what the kernel has queued and who is on the way; nobody else finds a listener any more. */
  retire(): void {
    this.retireAll(this.listeners.values());
  }

  /** Closes every listener. */
  close(): void {
    for (const listener of this.listeners.values()) listener.close();
    this.closeRetired();
    this.http?.upstreams.close();
    this.http?.files.close();
  }

  /** When every session has ended: leaves memory that cannot be given back to whoever follows in this thread. */
  releaseMemory(): void {
    this.http?.buffers.release();
  }

  /** Those who were on the way when a listener retired have had their time. */
  onTimer(): void {
    this.closeRetired();
  }

  /** What has taken an upstream's place since a flow began to read its head, or to shake hands. */
  current(upstream: Upstream): Upstream {
    const position = this.positions.get(upstream.name);
    return position === undefined ? upstream : this.upstreams[position]!;
  }

  /**
   * Nothing else is made anew: what was compiled, what guards remember and whose turn it is do not depend on addresses,
   * which may change every second.
   *
   * @param snapshots those that have other endpoints
   */
  replaceUpstreams(snapshots: readonly UpstreamSnapshot[]): void {
    const successors = new Map(this.makeUpstreams(snapshots).map((one) => [one.name, one]));
    const { upstreams } = this;
    for (const [index, { name }] of upstreams.entries()) {
      upstreams[index] = successors.get(name) ?? upstreams[index]!;
    }
    for (const listener of this.listeners.values()) {
      listener.upstream = upstreams[listener.snapshot.upstream]!;
    }
    this.http?.upstreams.replaceUpstreams(upstreams);
    this.moveSessions();
  }

  /**
   * Sockets that stay keep what is queued in them; those that are not in the snapshot are emptied and
   * closed.
   *
   * @param onDone called when they are, which may be a moment later
   */
  configure({ listeners, upstreams }: GatesSnapshot, onDone: () => void): void {
    const earlier = this.listeners;
    this.contexts.renew();
    this.upstreams = this.makeUpstreams(upstreams);
    this.positions = positionsOf(this.upstreams);
    this.listeners = this.makeListeners(listeners, earlier);
    this.contexts.sweep();
    this.http?.upstreams.configure();
    this.http?.files.configure();
    for (const [fd, listener] of earlier) {
      const successor = this.listeners.get(fd);
      if (successor !== undefined) listener.handOver(successor);
    }
    this.open();
    const gone = [...earlier.values()].filter(({ snapshot }) => !this.listeners.has(snapshot.fd));
    for (const listener of gone) {
      if (listener.http === undefined) listener.upstream = this.current(listener.upstream);
      else listener.http.isClosing = true;
    }
    this.retireAll(gone);
    this.moveSessions();
    if (this.retired.length === 0) onDone();
    else this.whenClosed.push(onDone);
  }

  private retireAll(listeners: Iterable<Listener>): void {
    for (const listener of listeners) if (listener.retire()) this.retired.push(listener);
    const { clock } = this.room;
    if (this.retired.length > 0) clock.wheel.schedule(this.timer, clock.nowMs + RETIRE_MS);
  }

  private closeRetired(): void {
    this.room.clock.wheel.cancel(this.timer);
    for (const listener of this.retired) listener.close();
    this.retired = [];
    for (const onDone of this.whenClosed) onDone();
    this.whenClosed = [];
  }

  onException(error: unknown): void {
    this.room.log.error({ err: error }, 'listeners that retired could not be closed');
  }

  private makeUpstreams(snapshots: readonly UpstreamSnapshot[]): Upstream[] {
    const { clock, log } = this.room;
    return snapshots.map((one) => {
      const tls = one.tls && { context: this.contexts.client(one.tls), kernel: one.tls.kernel };
      return new Upstream(one, { clock, log, ledger: this.ledger }, tls);
    });
  }

  /** @param earlier listeners whose sockets the new ones may have: open HTTP connections go on by the new rules */
  private makeListeners(
    snapshots: readonly ListenerSnapshot[],
    earlier?: ReadonlyMap<number, Listener>,
  ): Map<number, Listener> {
    return new Map(
      snapshots.map((one) => {
        const { upstreams } = this;
        const head = HeadPolicy.of(one, upstreams);
        const gate = this.gateOf(one, earlier?.get(one.fd)?.http);
        const tls = one.tls && { contexts: this.contexts.server(one.tls), kernel: one.tls.kernel };
        const listener = new Listener(this.room, one, upstreams[one.upstream]!, head, tls, gate);
        listener.mirror = this.mirrorOf(one);
        return [one.fd, listener];
      }),
    );
  }

  private gateOf(snapshot: ListenerSnapshot, earlier?: HttpGate): HttpGate | undefined {
    const service = this.serviceOf(snapshot);
    if (service === undefined) {
      if (earlier !== undefined) earlier.isClosing = true;
      return undefined;
    }
    if (earlier === undefined) return new HttpGate(this.http!, service);
    earlier.service = service;
    return earlier;
  }

  private mirrorOf({ mirror, index }: ListenerSnapshot): Mirror | undefined {
    return mirror && new Mirror(this.room, mirror, this.upstreams, index);
  }

  private serviceOf({ http, name, index }: ListenerSnapshot): HttpService | undefined {
    if (http === undefined) return undefined;
    this.http ??= new HttpRoom(this.room, this.room.headLimits);
    return new HttpService(this.http, http, name, this.upstreams, index);
  }

  /** In the order they came, which is the order they wait in. */
  private moveSessions(): void {
    this.room.shadows.moveTo(this.upstreams);
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

function positionsOf(upstreams: readonly Upstream[]): ReadonlyMap<string, number> {
  return new Map(upstreams.map(({ name }, position) => [name, position]));
}
