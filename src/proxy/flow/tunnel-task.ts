import { Epoll, type PumpOwner } from '../../splice/index.js';
import type { CloseReason } from '../counters.js';
import type { Task } from '../event-loop.js';
import { type Active, Lull } from '../lull.js';
import type { WorkerRoom } from '../room.js';
import type { Timer } from '../timer-wheel.js';
import type { SideName, Tunnel } from './tunnel.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** After one side broke, the other may pause this long in taking the last bytes. */
const LINGER_MS = 500;

/** Whose connections a tunnel joins. */
export interface TunnelOwner extends Active {
  /** It has not ended yet. */
  readonly isTunnelling: boolean;
  /** The tunnel's from now on: its owner hands the expiry on. */
  readonly timer: Timer;
  /** How long nothing may move. */
  readonly idleMs: number;
  /** One direction is over, and perhaps both. */
  onDirectionOver?(): void;
  terminate(reason: CloseReason): void;
  onException(error: unknown): void;
}

/** A tunnel in its worker's loop: moves what events and the run queue say can be moved, and ends its owner when it is over. */
export class TunnelTask implements Task, PumpOwner {
  private isDeferred = false;
  private readonly lull: Lull;

  constructor(
    private readonly room: WorkerRoom,
    private readonly owner: TunnelOwner,
    readonly tunnel: Tunnel,
  ) {
    this.lull = new Lull(room);
    const { calls } = room.clock;
    if (calls !== undefined) tunnel.shareCalls(calls, this);
  }

  /** Moves what is there already. */
  begin(): void {
    const { timer, idleMs } = this.owner;
    const { nowMs, wheel } = this.room.clock;
    const dueMs = nowMs + idleMs / 2;
    // Where the timer stands at an earlier time, it finds its way from there.
    if (!timer.isScheduled || timer.deadlineMs > dueMs) wheel.schedule(timer, dueMs);
    this.pump();
  }

  /** @param side whose transport has noticed them */
  onEvents(events: number, side: SideName): void {
    this.owner.lastActivityMs = this.room.clock.nowMs;
    if ((events & BROKEN_EVENTS) !== 0) this.tunnel.settle();
    this.pump();
    if ((events & BROKEN_EVENTS) === 0 || !this.owner.isTunnelling) return;
    this.after(this.tunnel.reportBroken(side));
  }

  /** The run queue's turn: the last one ended on the budget, not for want of bytes. */
  runTask(): void {
    this.isDeferred = false;
    if (!this.owner.isTunnelling) return;
    this.owner.lastActivityMs = this.room.clock.nowMs;
    this.pump();
  }

  /** Activity only notes the time; the timer is moved here, once per period, not per event. */
  onTimer(): void {
    const { owner, lull, room } = this;
    const { brokenSide, up } = this.tunnel;
    const { idleMs } = owner;
    if (brokenSide !== undefined) owner.terminate(`${brokenSide}_reset`);
    else if (lull.isTooLong(owner, idleMs, up.source, up.sink)) owner.terminate('idle_timeout');
    else room.clock.wheel.schedule(owner.timer, lull.dueMs(owner, idleMs));
  }

  onException(error: unknown): void {
    this.owner.onException(error);
  }

  /** Makes the writes that were to be made later in this turn: the end has come. */
  settle(): void {
    this.tunnel.settle();
  }

  /** Every byte that was read has been passed on, and neither side broke: a FIN says so truly. */
  get isClean(): boolean {
    return !this.tunnel.isHolding && this.tunnel.brokenSide === undefined;
  }

  /** Gives back what the pumps hold. */
  release(): void {
    this.tunnel.release();
  }

  /** Runs both directions and draws the consequences. */
  private pump(): void {
    const { tunnel } = this;
    this.after(tunnel.run());
    if (tunnel.hasYielded && this.owner.isTunnelling) this.defer();
  }

  onSinkFailed(): void {
    this.defer();
  }

  private defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.room.clock.defer(this);
  }

  /** @param over why the tunnel is over, if it is */
  private after(over: CloseReason | undefined): void {
    const { owner, tunnel, room } = this;
    if (over !== undefined) {
      owner.terminate(over);
      return;
    }
    if (tunnel.isHalfOver) owner.onDirectionOver?.();
    if (tunnel.isLingering) room.clock.wheel.schedule(owner.timer, room.clock.nowMs + LINGER_MS);
  }
}
