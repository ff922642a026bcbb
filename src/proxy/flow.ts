import {
  Epoll,
  Errno,
  Nagle,
  PlainTransport,
  Pump,
  PumpResult,
  type Transport,
  takeSocketError,
} from '../splice/index.js';
import { accessLine } from './access-line.js';
import { isPassing } from './connect-failure.js';
import { type CloseReason, Counter, closeReasons } from './counters.js';
import type { Task } from './event-loop.js';
import { FlowSide } from './flow-side.js';
import { FlowState, successors } from './flow-state.js';
import type { Listener } from './listener.js';
import type { WorkerRoom } from './room.js';
import { Timer, type TimerOwner } from './timer-wheel.js';
import {
  Attempts,
  type Endpoint,
  openEndpointSocket,
  Selection,
  sourceKey,
  type Waiter,
} from './upstream/index.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** A connection that could not even be tried, for want of a descriptor, is tried again so often. */
const RETRY_MS = 50;
/** After one side broke, the other may pause this long in taking the last bytes. */
const LINGER_MS = 500;

/**
 * One client connection and the upstream connection made for it: a tunnel of two pumps. `up` is
 * from client to upstream, `down` is back.
 */
export class Flow implements TimerOwner, Task, Waiter {
  state: FlowState = FlowState.accepted;
  /** Why the flow ended; settled when it begins to close. */
  closeReason: CloseReason = 'done';
  readonly attempts: Attempts;
  readonly client: FlowSide;
  upstream: FlowSide | undefined;
  up: Pump | undefined;
  down: Pump | undefined;
  /** Number of the flow in its worker, from 1. */
  readonly sequence: number;
  readonly startedMs: number;
  lastActivityMs: number;
  /** When connect(2) was called, and how long it took; −1 before it has. */
  private connectStartedMs = 0;
  connectMs = -1;

  private readonly timer: Timer = new Timer(this);
  private isDeferred = false;
  /** A direction is over: its FIN was passed on, or its sink broke. */
  isUpOver = false;
  isDownOver = false;
  /** A side was reset or broke while the other could still speak; it will be reset, too. */
  private brokenSide: 'client' | 'upstream' | undefined;

  /**
   * @param clientFd an accepted, non-blocking socket; the flow closes it
   * @param clientText the client's address for the access line, empty where nobody reads it
   */
  constructor(
    readonly room: WorkerRoom,
    readonly listener: Listener,
    clientFd: number,
    readonly clientText: string,
  ) {
    const isTcp = listener.snapshot.family !== 'unix';
    const transport = new PlainTransport(room.kernel, clientFd, isTcp);
    const { upstream } = listener;
    this.attempts = new Attempts(upstream, upstream.isKeyed ? sourceKey(room.kernel, clientFd) : 0);
    this.client = new FlowSide(room.clock, this, transport, true);
    this.sequence = room.nextFlowSequence();
    this.startedMs = room.clock.nowMs;
    this.lastActivityMs = this.startedMs;
  }

  /** Starts the flow: it lives on events from here on. */
  begin(): void {
    const { counters } = this.room;
    counters.countAccepted(this.listener.snapshot.index);
    if (this.client.register() < 0) {
      this.terminate('error');
      return;
    }
    this.connect();
  }

  onClientEvents(events: number): void {
    this.lastActivityMs = this.room.clock.nowMs;
    switch (this.state) {
      case FlowState.accepted:
      case FlowState.queued:
      case FlowState.connecting:
        // A FIN alone is no reason to stop: the client may be one that says all and then listens.
        if ((events & BROKEN_EVENTS) !== 0) this.terminate('client_reset');
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.pump();
        if ((events & BROKEN_EVENTS) !== 0) this.ifBroken(this.client, 'client');
        return;
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        assertNever(this.state);
    }
  }

  onUpstreamEvents(events: number): void {
    this.lastActivityMs = this.room.clock.nowMs;
    switch (this.state) {
      case FlowState.connecting:
        if ((events & BROKEN_EVENTS) !== 0) {
          const errno = takeSocketError(this.room.kernel, this.upstream!.transport.fd);
          this.connectFailed(errno === 0 ? Errno.ECONNRESET : errno);
        } else if ((events & Epoll.EPOLLOUT) !== 0) {
          this.connected();
        }
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed:
        this.pump();
        if ((events & BROKEN_EVENTS) !== 0) this.ifBroken(this.upstream!, 'upstream');
        return;
      case FlowState.accepted:
      case FlowState.queued:
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        assertNever(this.state);
    }
  }

  /** The run queue's turn: the last one ended on the budget, not for want of bytes. */
  runTask(): void {
    this.isDeferred = false;
    if (this.state !== FlowState.tunnelling && this.state !== FlowState.halfClosed) return;
    this.lastActivityMs = this.room.clock.nowMs;
    this.pump();
  }

  onTimer(): void {
    const { clock, timeouts } = this.room;
    switch (this.state) {
      case FlowState.accepted:
        if (clock.nowMs >= this.startedMs + timeouts.connectMs) this.terminate('connect_timeout');
        else this.connect();
        return;
      case FlowState.queued:
        this.terminate('queue_timeout');
        return;
      case FlowState.connecting:
        this.connectFailed(Errno.ETIMEDOUT);
        return;
      case FlowState.tunnelling:
      case FlowState.halfClosed: {
        // Activity only notes the time; the timer is moved here, once per period, not per event.
        const deadlineMs = this.lastActivityMs + timeouts.idleMs;
        if (this.brokenSide !== undefined) {
          this.terminate(`${this.brokenSide}_reset`);
          return;
        }
        if (clock.nowMs >= deadlineMs) this.terminate('idle_timeout');
        else clock.wheel.schedule(this.timer, deadlineMs);
        return;
      }
      case FlowState.closing:
      case FlowState.closed:
        return;
      default:
        assertNever(this.state);
    }
  }

  onException(error: unknown): void {
    this.room.log.error({ err: error, listener: this.listener.snapshot.name }, 'flow failed');
    this.terminate('error');
  }

  /** Ends the flow now; with a reset, unless it ends the way both sides expect. */
  terminate(reason: CloseReason): void {
    if (this.state === FlowState.closing || this.state === FlowState.closed) return;
    this.enter(FlowState.closing);
    this.closeReason = reason;
    const { room } = this;
    const isOrderly = this.endsOrderly();
    room.clock.wheel.cancel(this.timer);
    this.up?.release();
    this.down?.release();
    if (room.logsAccess) accessLine(this);
    this.closeSide(this.client, isOrderly);
    if (this.upstream !== undefined) this.closeSide(this.upstream, isOrderly);
    this.attempts.end();
    room.counters.countClosed(this.listener.snapshot.index, closeReasons.indexOf(reason));
    room.connections.leave();
    this.enter(FlowState.closed);
    room.flowEnded(this.listener);
  }

  /** The queue's call: there may be a place at an endpoint. */
  onEndpointFree(): void {
    const selection = this.attempts.next();
    if (selection === Selection.Full) return;
    this.enter(FlowState.accepted);
    this.connectTo(selection);
  }

  private connect(): void {
    const selection = this.attempts.next();
    if (selection === Selection.Full) this.queue();
    else this.connectTo(selection);
  }

  private queue(): void {
    if (!this.attempts.wait(this)) {
      this.terminate('queue_full');
      return;
    }
    this.enter(FlowState.queued);
    const { clock } = this.room;
    clock.wheel.schedule(this.timer, clock.nowMs + this.listener.upstream.queueTimeoutMs);
  }

  private connectTo(endpoint: Endpoint | typeof Selection.None): void {
    if (endpoint === Selection.None) {
      this.terminate(this.attempts.failure);
      return;
    }
    const { room } = this;
    this.connectStartedMs = room.clock.nowMs;
    room.clock.wheel.schedule(this.timer, this.connectStartedMs + room.timeouts.connectMs);
    room.counters.values[Counter.connect_attempts]!++;
    const fd = openEndpointSocket(room.kernel, room.pipes, endpoint);
    if (fd < 0) {
      this.connectFailed(-fd);
      return;
    }
    const isTcp = endpoint.sockaddr.address.family !== 'unix';
    const transport = new PlainTransport(room.kernel, fd, isTcp, isTcp ? Nagle.unused : Nagle.off);
    this.upstream = new FlowSide(room.clock, this, transport, false);
    this.enter(FlowState.connecting);
    if (this.upstream.register() < 0) this.terminate('error');
  }

  private connected(): void {
    const { room, client, upstream } = this;
    this.attempts.connected();
    this.connectMs = room.clock.nowMs - this.connectStartedMs;
    room.counters.countConnected(this.connectMs);
    this.up = new Pump(room, room.counters.up, client.transport, upstream!.transport);
    this.down = new Pump(room, room.counters.down, upstream!.transport, client.transport);
    client.pump = this.up;
    upstream!.pump = this.down;
    // The timer stands at the connect deadline and finds its way from there, unless that is too late.
    if (room.timeouts.idleMs < room.timeouts.connectMs) {
      room.clock.wheel.schedule(this.timer, room.clock.nowMs + room.timeouts.idleMs);
    }
    this.enter(FlowState.tunnelling);
    this.pump();
  }

  /** @param errno positive */
  private connectFailed(errno: number): void {
    const { room } = this;
    room.counters.values[Counter.connect_failures]!++;
    if (this.upstream !== undefined) {
      this.closeSide(this.upstream, true);
      this.upstream = undefined;
    }
    if (this.state === FlowState.connecting) this.enter(FlowState.accepted);
    if (isPassing(errno)) {
      this.attempts.release();
      room.clock.wheel.schedule(this.timer, room.clock.nowMs + RETRY_MS);
      return;
    }
    this.attempts.failed(errno);
    if (this.attempts.mayContinue) this.connect();
    else this.terminate(this.attempts.failure);
  }

  /** Runs both directions and draws the consequences. */
  private pump(): void {
    let isDue = false;
    if (!this.isUpOver && this.up!.isDue) {
      const result = this.up!.run();
      if (result === PumpResult.Yielded) isDue = true;
      else if (result !== PumpResult.Waiting && !this.upEnded(result)) return;
    }
    if (!this.isDownOver && this.down!.isDue) {
      const result = this.down!.run();
      if (result === PumpResult.Yielded) isDue = true;
      else if (result !== PumpResult.Waiting && !this.downEnded(result)) return;
    }
    this.client.listenAgain();
    this.upstream!.listenAgain();
    if (this.brokenSide !== undefined) this.linger();
    if (isDue && !this.isDeferred) {
      this.isDeferred = true;
      this.room.clock.defer(this);
    }
  }

  /** @returns false when the flow is over */
  private upEnded(result: PumpResult): boolean {
    if (result === PumpResult.SourceFailed || this.brokenSide === 'client') {
      this.terminate('client_reset');
      return false;
    }
    this.isUpOver = true;
    if (result === PumpResult.Ended) return this.directionEnded(this.upstream!.transport);
    if (!isPeerGone(this.upstream!.transport.errno)) {
      this.terminate('error');
      return false;
    }
    // The upstream takes no more, but its last words may be waiting: an early answer, mostly.
    this.up!.release();
    this.brokenSide = 'upstream';
    return this.directionEnded(undefined);
  }

  /** @returns false when the flow is over */
  private downEnded(result: PumpResult): boolean {
    if (result === PumpResult.SourceFailed || this.brokenSide === 'upstream') {
      this.terminate('upstream_reset');
      return false;
    }
    this.isDownOver = true;
    if (result === PumpResult.Ended) return this.directionEnded(this.client.transport);
    if (!isPeerGone(this.client.transport.errno)) {
      this.terminate('error');
      return false;
    }
    this.down!.release();
    this.brokenSide = 'client';
    return this.directionEnded(undefined);
  }

  /**
   * Passes the end of a direction on, or ends the flow when it was the second one.
   * @param sink where a FIN belongs, after every byte before it has gone
   * @returns false when the flow is over
   */
  private directionEnded(sink: Transport | undefined): boolean {
    if (this.isUpOver && this.isDownOver) {
      this.terminate(this.brokenSide === undefined ? 'done' : `${this.brokenSide}_reset`);
      return false;
    }
    // A shutdown that fails has met a reset: the other direction's read will say so.
    sink?.shutdownWrite();
    this.enter(FlowState.halfClosed);
    return true;
  }

  /** A FIN says “that was all”: after bytes were lost, only a reset tells the truth. */
  private endsOrderly(): boolean {
    if (this.closeReason !== 'done' && this.closeReason !== 'idle_timeout') return false;
    const isHolding = this.up?.isHolding === true || this.down?.isHolding === true;
    return !isHolding && this.brokenSide === undefined;
  }

  private closeSide(side: FlowSide, isOrderly: boolean): void {
    this.room.clock.forget(side.transport.fd);
    if (isOrderly) side.transport.close();
    else side.transport.reset();
  }

  /**
   * A side was reported broken. While its pump can read, the read says how, after the last bytes;
   * where that direction is over, or its sink takes nothing, nobody would ever find out.
   */
  private ifBroken(side: FlowSide, name: 'client' | 'upstream'): void {
    if (this.state !== FlowState.tunnelling && this.state !== FlowState.halfClosed) return;
    const isOver = side === this.client ? this.isUpOver : this.isDownOver;
    if (!isOver && !side.pump!.isHolding) return;
    if (takeSocketError(this.room.kernel, side.transport.fd) === 0) return;
    this.brokenSide = name;
    if (isOver) this.terminate(`${name}_reset`);
    else this.linger();
  }

  /**
   * One side is broken and its last bytes are on their way: they may arrive for as long as the other
   * side goes on taking them.
   */
  private linger(): void {
    const last = this.isUpOver ? this.down! : this.up!;
    const isWaitingForSink = last.isHolding || (!this.isUpOver && this.down!.isHolding);
    if (!isWaitingForSink) return;
    const { clock } = this.room;
    clock.wheel.schedule(this.timer, clock.nowMs + LINGER_MS);
  }

  private enter(state: FlowState): void {
    if (!successors[this.state].includes(state)) {
      throw new Error(`flow: state ${this.state} is not followed by ${state}`);
    }
    this.state = state;
  }
}

/** Writing found the connection dead: events will say the rest. Any other error leaves it alive. */
function isPeerGone(errno: number): boolean {
  return errno === Errno.EPIPE || errno === Errno.ECONNRESET || errno === Errno.ETIMEDOUT;
}

function assertNever(state: never): never {
  throw new Error(`flow: no such state: ${state}`);
}
