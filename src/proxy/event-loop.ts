import {
  type Clock,
  Epoll,
  EventPoll,
  isReadable,
  type Kernel,
  orThrow,
  SystemCallError,
  TimerFd,
} from '../splice/index.js';
import { BusyPoll } from './busy-poll.js';
import { Counter, type Counters } from './counters.js';
import type { Session } from './session.js';
import { TimerWheel } from './timer-wheel.js';
import type { TurnCalls } from './turn-calls.js';

/** Who receives the events of one registered descriptor. */
export interface EventHandler {
  /** Set by the loop at registration; events of an earlier one are dropped. */
  generation: number;
  /** The session whose client this is, if it is one. */
  readonly session?: Session | undefined;
  /** @param events EPOLL… bits */
  onEvents(events: number): void;
  /** Nobody uses what it stands for, but others are about to: what has become of it is heard before they are served. */
  readonly isUnused?: boolean;
  /** Bytes have come, and {@link onEvents} is about to say so: they may be read with those of others. */
  readAhead?(calls: TurnCalls): void;
  /** Something threw while this handler was served: end what it stands for, and nothing else. */
  onException(error: unknown): void;
}

/** Work to be done next turn, without an event: a flow whose budget ran out. */
export interface Task {
  runTask(): void;
  onException(error: unknown): void;
}

/** What a loop is made of, where it is not what comes to mind first. */
export interface EventLoopParts {
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
  /** Milliseconds since 1970. */
  readonly wallClock?: () => number;
  /** Calls that the handlers of a turn make together. */
  readonly calls?: TurnCalls | undefined;
}

/** Events fetched by one wait. */
export const EVENTS_MAX = 256;
/** Nothing has happened to a connection but that bytes came, or may go. */
const BYTE_EVENTS = Epoll.EPOLLIN | Epoll.EPOLLOUT;
/** Asking for the time costs a fiftieth of a small request. */
const WALL_KNOWN_MS = 100;

/**
 * One worker's heart: waits in epoll_wait(2), hands events to their handlers, then runs what was
 * put off, then the timers. It never returns to libuv while it runs.
 */
export class EventLoop implements Clock {
  readonly wheel: TimerWheel;
  /** The clock of this turn, monotonic milliseconds. */
  nowMs: number;
  /** How far the clock on the wall was ahead of {@link nowMs}, and until when that is taken for so. */
  private wallAheadMs = 0;
  private wallKnownUntilMs = Number.NEGATIVE_INFINITY;
  /** Absent: every handler makes its own. */
  readonly calls: TurnCalls | undefined;
  private readonly clock: () => number;
  private readonly wallClock: () => number;
  private readonly poll: EventPoll;
  private readonly busyPoll: BusyPoll;
  /**
   * Wakes the loop for the wheel. A timeout given to epoll_wait(2) would be set up and torn down at
   * every wait; the alarm is set when the next deadline comes closer, which is rare.
   */
  private readonly alarm: TimerFd;
  /** When the alarm goes off; infinite when it is not set. */
  private alarmMs = Number.POSITIVE_INFINITY;
  /** Events of this turn, by number: of handlers that read together, and the others. */
  private readonly readers = new Int32Array(EVENTS_MAX);
  private readonly others = new Int32Array(EVENTS_MAX);
  private readonly handlers: (EventHandler | undefined)[] = [];
  private generation = 0;
  private isRunning = false;
  private tasks: Task[] = [];
  private tasksOfThisTurn: Task[] = [];

  /**
   * @param onTurn called at the end of each turn, before the loop may sleep
   * @throws SystemCallError without descriptors, or memory for them
   */
  constructor(
    private readonly kernel: Kernel,
    private readonly counters: Counters,
    private readonly onTurn: () => void,
    { clock = kernel.monotonicMs, wallClock = Date.now, calls }: EventLoopParts = {},
  ) {
    this.clock = clock;
    this.wallClock = wallClock;
    this.calls = calls;
    this.poll = new EventPoll(kernel, EVENTS_MAX);
    this.busyPoll = new BusyPoll(this.poll, counters);
    this.alarm = TimerFd.open(kernel);
    // A loop that nobody wakes for its timers would sleep on.
    const events = (Epoll.EPOLLIN | Epoll.EPOLLET) >>> 0;
    orThrow(this.poll.add(this.alarm.fd, events, 0), 'epoll_ctl');
    this.nowMs = clock();
    this.wheel = new TimerWheel(this.nowMs);
  }

  /**
   * Registers a descriptor, once for its whole life.
   * @returns 0, or a negative error number
   */
  register(fd: number, events: number, handler: EventHandler): number {
    this.generation = (this.generation + 1) | 0;
    handler.generation = this.generation;
    const result = this.poll.add(fd, events, handler.generation);
    if (result >= 0) this.handlers[fd] = handler;
    return result;
  }

  /**
   * Changes what a registered descriptor is waited for, and looks at it anew: if it is ready for one
   * of the events now, an edge is raised, whenever the readiness began.
   */
  modify(fd: number, events: number, handler: EventHandler): void {
    this.poll.modify(fd, events, handler.generation);
  }

  /** From now on the events of a registered descriptor are for another handler. */
  handOver(from: EventHandler, to: EventHandler, fd: number): void {
    to.generation = from.generation;
    this.handlers[fd] = to;
  }

  /** Takes a descriptor out that stays open; it may be registered again. */
  deregister(fd: number): void {
    this.handlers[fd] = undefined;
    this.poll.remove(fd);
  }

  /** Forgets a descriptor that is about to be closed, which takes it out of epoll as well. */
  forget(fd: number): void {
    this.handlers[fd] = undefined;
  }

  /** The time of this turn on the wall, ms since 1970. Whoever sets that clock is noticed a tenth of a second later. */
  get wallMs(): number {
    if (this.nowMs >= this.wallKnownUntilMs) {
      this.wallKnownUntilMs = this.nowMs + WALL_KNOWN_MS;
      this.wallAheadMs = this.wallClock() - this.nowMs;
    }
    return this.nowMs + this.wallAheadMs;
  }

  /** There is something to do, or will be within so many milliseconds; timers do not count. */
  isBusy(timeoutMs: number): boolean {
    return this.tasks.length > 0 || isReadable(this.kernel, this.poll.fd, timeoutMs);
  }

  /** Closes the descriptors that were to be closed later in this turn: somebody needs them. @returns how many */
  closeEnded(): number {
    return this.calls?.closeNow(this.kernel) ?? 0;
  }

  /** Puts a task off to the next turn, which will not wait. */
  defer(task: Task): void {
    this.tasks.push(task);
  }

  /** For {@link deliver}; undefined for a descriptor that is not registered. */
  generationOf(fd: number): number | undefined {
    return this.handlers[fd]?.generation;
  }

  /** Every registered handler, in the order of descriptors. */
  *registered(): Generator<EventHandler> {
    for (const handler of this.handlers) if (handler !== undefined) yield handler;
  }

  /** Runs until {@link stop}. @throws SystemCallError when epoll itself fails: a bug */
  run(): void {
    this.isRunning = true;
    while (this.isRunning) this.turn();
  }

  stop(): void {
    this.isRunning = false;
  }

  close(): void {
    this.alarm.close();
    this.calls?.close();
    this.poll.close();
  }

  /** One turn; `run` is a loop around it, and tests walk through it by hand. */
  turn(): void {
    const count = this.mayWait() ? this.busyPoll.wait() : this.poll.wait(0);
    if (count < 0) throw new SystemCallError('epoll_wait', -count);
    this.nowMs = this.clock();
    const { values } = this.counters;
    values[Counter.loop_turns]!++;
    if (count > 0) values[Counter.events]! += count;
    const { calls } = this;
    this.serve(count, calls !== undefined && count >= calls.worthFrom ? calls : undefined);
    if (this.tasks.length > 0) this.runTasks();
    this.wheel.advance(this.nowMs);
    this.onTurn();
  }

  /** Sees to it that the loop wakes in time. @returns false when there is work now */
  private mayWait(): boolean {
    if (this.tasks.length > 0) return false;
    const { dueMs } = this.wheel;
    if (dueMs <= this.nowMs) return false;
    if (dueMs < this.alarmMs) {
      this.alarmMs = dueMs;
      this.alarm.set(dueMs - this.nowMs);
    }
    return true;
  }

  /**
   * Reads for all who want a buffer full, serves these, and writes for them. Whoever has something else comes after
   * that: megabytes, a handshake, an end. Nobody's few bytes wait for those. But a connection that nobody uses comes
   * first: were its end heard only now, somebody would have had it already for a request that cannot be repeated.
   *
   * @param calls nothing where each handler makes its own
   */
  private serve(count: number, calls: TurnCalls | undefined): void {
    const { readers, others, poll } = this;
    let readerCount = 0;
    let otherCount = 0;
    calls?.begin();
    for (let index = 0; index < count; index++) {
      const handler = this.handlerOf(index);
      if (handler?.isUnused) this.dispatch(index);
      else if (calls !== undefined && readsAhead(handler, poll.eventsAt(index), calls))
        readers[readerCount++] = index;
      else others[otherCount++] = index;
    }
    if (readerCount > 0) {
      calls!.read();
      for (let position = 0; position < readerCount; position++) this.dispatch(readers[position]!);
      calls!.write();
    }
    if (otherCount > 1) calls?.serve();
    for (let position = 0; position < otherCount; position++) this.dispatch(others[position]!);
    calls?.write();
    calls?.end();
  }

  /** Whom an event is for; nobody where it is stale. */
  private handlerOf(index: number): EventHandler | undefined {
    const { poll } = this;
    const handler = this.handlers[poll.fdAt(index)];
    return handler?.generation === poll.generationAt(index) ? handler : undefined;
  }

  private dispatch(index: number): void {
    const fd = this.poll.fdAt(index);
    if (fd === this.alarm.fd) {
      this.alarmMs = Number.POSITIVE_INFINITY;
      return;
    }
    this.deliver(fd, this.poll.generationAt(index), this.poll.eventsAt(index));
  }

  /** Hands events to whoever registered the descriptor, if that is still the same one. */
  deliver(fd: number, generation: number, events: number): void {
    const handler = this.handlers[fd];
    if (handler === undefined || handler.generation !== generation) {
      this.counters.values[Counter.events_stale]!++;
      return;
    }
    try {
      handler.onEvents(events);
    } catch (error) {
      this.counters.values[Counter.exceptions]!++;
      handler.onException(error);
    }
  }

  private runTasks(): void {
    const tasks = this.tasks;
    this.tasks = this.tasksOfThisTurn;
    this.tasksOfThisTurn = tasks;
    for (const task of tasks) {
      try {
        task.runTask();
      } catch (error) {
        this.counters.values[Counter.exceptions]!++;
        task.onException(error);
      }
    }
    tasks.length = 0;
  }
}

/** @returns whether an event's handler reads with others */
function readsAhead(handler: EventHandler | undefined, events: number, calls: TurnCalls): boolean {
  if ((events & Epoll.EPOLLIN) === 0 || (events & ~BYTE_EVENTS) !== 0) return false;
  const { size } = calls;
  handler?.readAhead?.(calls);
  return calls.size > size;
}
