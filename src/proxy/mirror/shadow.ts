import type { Pipe, PumpTap, Transport } from '../../splice/index.js';
import { type CloseReason, Counter } from '../counters.js';
import { Dial, type DialOwner, DialState } from '../dial.js';
import type { Task } from '../event-loop.js';
import type { MirrorCut } from '../mirror-cut.js';
import { introduce, type ProxiedClient } from '../proxy-sender.js';
import type { WorkerRoom } from '../room.js';
import { Timer, type TimerOwner } from '../timer-wheel.js';
import type { Upstream } from '../upstream/index.js';
import type { Mirror } from './mirror.js';
import { ShadowStream } from './shadow-stream.js';

/**
 * How far a shadow has come.
 *
 * ```
 *   dialling ──▶ following ──▶ ending ──▶ over
 *       │            │           │         ▲
 *       └────────────┴───────────┴─────────┘
 *         no connection, no place for a byte, broken, too late
 * ```
 */
export const ShadowState = {
  /** The connection is being made; bytes wait in the stream. */
  dialling: 0,
  /** The client may have more to say, or not everything was sent. */
  following: 1,
  /** Everything was sent: its answer is awaited, and dropped. */
  ending: 2,
  /** Nothing is held any more. */
  over: 3,
} as const;
export type ShadowState = (typeof ShadowState)[keyof typeof ShadowState];

/** In the words of the admin interface. */
export interface MirrorStatus {
  readonly upstream: string;
  /** Absent until one was chosen. */
  readonly endpoint?: string;
  /** Taken for it so far. */
  readonly bytes: number;
  /** Absent while it has every byte. */
  readonly cut?: MirrorCut;
}

/** Dropped in one call, at most. */
export const DISCARD_BYTES = 1024 * 1024 * 1024;

/**
 * A connection that is given a copy of what a client sends. Whatever becomes of it, nobody else is told:
 * whom it follows calls it as a tap, and says when there is nothing more.
 */
export abstract class Shadow implements PumpTap, DialOwner, TimerOwner, Task {
  state: ShadowState = ShadowState.dialling;
  /** Why it did not get everything; nothing while it may. */
  cutBy: MirrorCut | undefined;
  /** Among the live ones of the worker. */
  place = 0;
  readonly timer = new Timer(this);
  protected readonly stream: ShadowStream;
  protected readonly dial: Dial;
  /** The client has said everything. */
  protected hasAll = false;

  /**
   * @param upstream of the mirror, the one of now
   * @param key what `Upstream.select` wants
   * @param client whom a PROXY header speaks of; nothing where the upstream wants none
   */
  constructor(
    protected readonly room: WorkerRoom,
    readonly mirror: Mirror,
    upstream: Upstream,
    key: number,
    private readonly client: ProxiedClient | undefined,
  ) {
    this.stream = new ShadowStream(room, mirror.bufferBytes);
    this.dial = new Dial(room, this, upstream, key);
  }

  get upstreamName(): string {
    return this.dial.attempts.upstream.name;
  }

  get status(): MirrorStatus {
    const { endpoint } = this.dial.attempts;
    return {
      upstream: this.upstreamName,
      ...(endpoint && { endpoint: endpoint.text }),
      bytes: this.stream.bytes,
      ...(this.cutBy && { cut: this.cutBy }),
    };
  }

  get connectTimeoutMs(): number {
    return this.room.timeouts.connectMs;
  }

  schedule(deadlineMs: number): void {
    this.room.clock.wheel.schedule(this.timer, deadlineMs);
  }

  /** Connects; bytes may come at once. */
  begin(): void {
    this.room.shadows.add(this);
    try {
      this.dial.begin();
      this.checkDial();
    } catch (error) {
      this.threw(error);
    }
  }

  spliced(pipe: Pipe, bytes: number): void {
    if (this.state === ShadowState.over) return;
    try {
      this.stream.spliced(pipe, bytes);
      if (this.stream.cutBy !== undefined) this.cut(this.stream.cutBy);
    } catch (error) {
      this.threw(error);
    }
  }

  copied(address: number, bytes: number): void {
    if (this.state === ShadowState.over) return;
    try {
      this.stream.copied(address, bytes);
      if (this.stream.cutBy !== undefined) this.cut(this.stream.cutBy);
    } catch (error) {
      this.threw(error);
    }
  }

  ended(isWhole: boolean): void {
    if (this.state === ShadowState.over) return;
    try {
      if (isWhole) this.endedWhole();
      else this.drop();
    } catch (error) {
      this.threw(error);
    }
  }

  /** The upstream was replaced. */
  moveTo(upstream: Upstream): void {
    if (this.state !== ShadowState.dialling || upstream === this.dial.attempts.upstream) return;
    if (upstream.sendProxyProtocol !== undefined && this.client === undefined) {
      // Nobody has asked whom it speaks for, and what comes without a header may be taken for one.
      this.cut('unconnected');
      return;
    }
    this.dial.moveTo(upstream);
    this.checkDial();
  }

  /** Ends it now, with a reset: nobody is to take what it has for the whole. Not its own doing. */
  drop(): void {
    this.end(false);
  }

  runTask(): void {
    if (this.state !== ShadowState.over) this.serve();
  }

  onTimer(): void {
    if (this.state === ShadowState.dialling) {
      this.dial.onTimer();
      this.checkDial();
    } else this.onDeadline();
  }

  onException(error: unknown): void {
    this.room.log.error({ err: error, upstream: this.upstreamName }, 'mirroring failed');
    this.cut('failed');
  }

  abstract watch(transport: Transport): number;
  abstract unwatch(): void;

  greet(): CloseReason | undefined {
    const sender = this.dial.attempts.upstream.sendProxyProtocol;
    if (sender === undefined || this.client === undefined) return undefined;
    return introduce(this.dial.transport!, sender, this.client);
  }

  onDialled(): void {
    this.state = ShadowState.following;
    this.stream.transport = this.connected();
    this.serve();
  }

  onDialFailed(): void {
    this.cut('unconnected');
  }

  /** The client has said everything. */
  protected endedWhole(): void {
    this.hasAll = true;
    this.sentAll();
  }

  /** Hands over what epoll reported for the connection, after its transport has noticed. */
  protected onConnectionEvents(events: number): void {
    if (this.state === ShadowState.dialling) {
      this.dial.onEvents(events);
      this.checkDial();
    } else if (this.state !== ShadowState.over) this.serve();
  }

  /** @returns what carries bytes from now on */
  protected abstract connected(): Transport;

  /** Drops what has come. */
  protected abstract readAnswer(transport: Transport): void;

  /** Every byte has been sent, and there will be no more. */
  protected abstract finishSending(transport: Transport): void;

  /** The timer went off, and no dial had set it. */
  protected abstract onDeadline(): void;

  /** Closes the connection, if there is one. */
  protected abstract closeConnection(isOrderly: boolean): void;

  /** The time begins to run in which it has to be done. */
  protected startDeadline(): void {
    const { clock } = this.room;
    clock.wheel.schedule(this.timer, clock.nowMs + this.mirror.timeoutMs);
  }

  protected cut(reason: MirrorCut): void {
    if (this.state === ShadowState.over) return;
    this.cutBy = reason;
    this.room.counters.countMirrorCut(this.mirror.listener, reason);
    this.end(false);
  }

  protected end(isOrderly: boolean): void {
    if (this.state === ShadowState.over) return;
    this.state = ShadowState.over;
    this.room.clock.wheel.cancel(this.timer);
    this.stream.release();
    this.closeConnection(isOrderly);
    this.dial.end();
    this.room.shadows.delete(this);
  }

  /** A bug of ours, in a call of somebody whom it must not hurt. */
  private threw(error: unknown): void {
    this.room.counters.values[Counter.exceptions]!++;
    this.onException(error);
  }

  private serve(): void {
    const { stream } = this;
    stream.flush();
    if (stream.cutBy !== undefined) {
      this.cut(stream.cutBy);
      return;
    }
    this.sentAll();
    if (this.state !== ShadowState.over) this.readAnswer(stream.transport!);
  }

  private sentAll(): void {
    const { stream } = this;
    if (this.state !== ShadowState.following || !this.hasAll || !stream.isEmpty) return;
    this.state = ShadowState.ending;
    this.finishSending(stream.transport!);
  }

  /** A place at an endpoint is not waited for: those who wait there are somebody's. */
  private checkDial(): void {
    if (this.state === ShadowState.dialling && this.dial.state === DialState.queued) {
      this.cut('unconnected');
    }
  }
}
