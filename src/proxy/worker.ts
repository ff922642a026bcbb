import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type Logger, pino } from 'pino';
import {
  type BufferPool,
  Epoll,
  EventFd,
  errnoName,
  type Kernel,
  NativeMemory,
  orThrow,
  PipePool,
} from '../splice/index.js';
import { offersKernelTls } from '../tls/index.js';
import { CaptureLane } from './capture/index.js';
import { ContextCache } from './context-cache.js';
import { Counter, Counters } from './counters.js';
import { EVENTS_MAX, type EventHandler, EventLoop } from './event-loop.js';
import { findSession, listFlows, sessionsOf } from './flow-report.js';
import { Gates } from './gates.js';
import { HandshakeTurns } from './handshake-turns.js';
import type { HeadLimits } from './http/index.js';
import type { Listener } from './listener.js';
import { AccessLog, JsonLines, LogBatch } from './logging/index.js';
import type { FromWorker, ToWorker, WorkerStart } from './messages.js';
import { ShadowSet } from './mirror/index.js';
import { ConnectionLimit, type WorkerRoom } from './room.js';
import type { LogSnapshot, TimeoutsSnapshot, WorkerSnapshot } from './snapshot.js';
import { HeadMemory } from './tcp/index.js';
import { ThreadKernel } from './thread-kernel.js';
import { Timer, type TimerOwner } from './timer-wheel.js';
import { TurnCalls } from './turn-calls.js';
import { EndpointLedger, type Upstream } from './upstream/index.js';

const NO_RING = 'io_uring is not to be had: each call is made by itself';

/** By when it began, and its process and place: another such worker comes at least a moment later. */
function uniqueName(worker: number): string {
  return `${Date.now().toString(36)}-${process.pid.toString(36)}-${worker}`;
}

/**
 * One data thread: its loop, its listeners and the flows they accepted.
 *
 * ```
 *   serving ──drain──▶ draining ──last flow ended, or time is up──▶ ended
 *      ├──────────────────────────stop─────────────────────────────▶
 *      └── an exception outside any flow: a bug ──▶ dead: control/workers/worker-slot.ts
 * ```
 */
export class Worker implements WorkerRoom, EventHandler, TimerOwner {
  generation = 0;
  readonly kernel: Kernel;
  readonly clock: EventLoop;
  readonly counters: Counters;
  readonly pipes: PipePool;
  readonly buffers: BufferPool;
  readonly log: Logger;
  logsAccess = false;
  readonly accessLog: AccessLog;
  notesRequests = false;
  timeouts: TimeoutsSnapshot;
  readonly headMemory = new HeadMemory();
  readonly headLimits: HeadLimits;
  cachedFilesMax: number;
  readonly connections: ConnectionLimit;
  clientDescriptorsEnd: number;
  readonly uniqueName: string;
  readonly handshakes: HandshakeTurns;
  readonly shadows: ShadowSet;
  readonly captures: CaptureLane | undefined;
  private readonly port: MessagePort;
  private readonly bell: EventFd;
  private readonly gates: Gates;
  private readonly logBatch: LogBatch;
  private readonly accessBatch: LogBatch;
  private readonly drainTimer = new Timer(this);
  /** Why there is no io_uring although it was wanted: an error number, or 0. */
  private ringErrno = 0;
  readonly number: number;
  isDraining = false;

  /** @param thread what its thread has for the workers in it; of its own by default */
  constructor(start: WorkerStart, thread = new ThreadKernel(start.descriptors)) {
    const { snapshot, port } = start;
    this.port = port;
    this.number = snapshot.worker;
    this.uniqueName = uniqueName(snapshot.worker);
    this.counters = new Counters(start.counters);
    this.kernel = thread.kernel;
    this.buffers = thread.buffers;
    thread.counters = this.counters;
    this.clock = new EventLoop(this.kernel, this.counters, () => this.updateGauges(), {
      calls: snapshot.ioUring ? this.openCalls(thread) : undefined,
    });
    this.handshakes = new HandshakeTurns(this.kernel, this.clock, this.counters);
    this.logBatch = new LogBatch(port, start.logBacklog, this.counters, this.clock);
    this.accessBatch = new LogBatch(port, start.logBacklog, this.counters, this.clock, 'access');
    const base = { worker: snapshot.worker };
    this.log = pino({ level: snapshot.log.level, base }, this.logBatch);
    const lines = new JsonLines(this.logBatch, base);
    const fileLines = new JsonLines(this.accessBatch, base);
    this.accessLog = new AccessLog(lines, fileLines, this.accessBatch);
    this.configureLog(snapshot.log);
    this.timeouts = snapshot.timeouts;
    this.headLimits = snapshot.limits;
    this.cachedFilesMax = snapshot.limits.cachedFiles;
    const { pipeBytes, pipeMemoryBytes, connectionsMax } = snapshot.limits;
    this.clientDescriptorsEnd = snapshot.limits.clientDescriptorsEnd;
    this.pipes = new PipePool(this.kernel, pipeBytes, pipeMemoryBytes);
    this.connections = new ConnectionLimit(start.shared, connectionsMax, snapshot.worker);
    this.shadows = new ShadowSet(this.counters, () => {
      if (this.isDraining) this.endIfIdle();
    });
    this.bell = new EventFd(this.kernel, start.bellFd);
    if (start.captureLane !== undefined) {
      this.captures = new CaptureLane(this.kernel, start.captureLane);
    }
    const ledger = new EndpointLedger(snapshot.endpointTable, snapshot.worker);
    const contexts = new ContextCache(offersKernelTls(this.kernel));
    this.gates = new Gates(this, ledger, contexts, snapshot);
    if (snapshot.core >= 0) this.pinTo(snapshot.core);
  }

  /** Serves until it is told to end. Returns once every descriptor of this worker is closed. */
  run(): void {
    this.open();
    if (this.ringErrno !== 0) {
      this.log.info({ reason: errnoName(this.ringErrno) }, NO_RING);
    }
    this.send({ type: 'ready' });
    try {
      this.clock.run();
    } catch (error) {
      this.endFlowsOfTheDying();
      throw error;
    } finally {
      this.flushLogs();
    }
    this.close();
    this.send({ type: 'ended' });
  }

  /** Accepts from now on, whenever the loop is turned. @throws SystemCallError where it could not be told anything */
  open(): void {
    orThrow(this.clock.register(this.bell.fd, Epoll.EPOLLIN, this), 'epoll_ctl');
    this.gates.open();
  }

  /** Ends what is left, and closes every descriptor. */
  close(): void {
    this.gates.close();
    // Who came in the very turn in which the last flow ended.
    this.terminateFlows('stopped');
    this.shadows.close();
    this.pipes.releaseIdle();
    this.updateGauges();
    this.gates.releaseMemory();
    this.clock.forget(this.bell.fd);
    this.clock.close();
    // The lines of those that were ended just now.
    this.flushLogs();
  }

  currentUpstream(upstream: Upstream): Upstream {
    return this.gates.current(upstream);
  }

  nextFlowSequence(): number {
    return this.counters.nextFlowSequence();
  }

  lookUp(name: string): void {
    this.send({ type: 'lookUp', name });
  }

  flowEnded(listener: Listener): void {
    this.gates.resume(listener);
    if (this.isDraining) this.endIfIdle();
  }

  /** The bell: there are messages. */
  onEvents(): void {
    this.bell.hear();
    for (;;) {
      const received = receiveMessageOnPort(this.port) as { message: ToWorker } | undefined;
      if (received === undefined) return;
      // The bell has rung once for all of them: those behind a bad one would wait for the next.
      try {
        this.obey(received.message);
      } catch (error) {
        this.onException(error);
      }
    }
  }

  onException(error: unknown): void {
    this.log.error({ err: error }, 'worker: a message could not be carried out');
  }

  /** The time to drain is up. */
  onTimer(): void {
    this.terminateFlows('drain_timeout');
    this.clock.stop();
  }

  private obey(message: ToWorker): void {
    switch (message.type) {
      case 'drain':
        this.drain(message.timeoutMs);
        return;
      case 'upstreams':
        this.gates.replaceUpstreams(message.upstreams);
        return;
      case 'configure':
        this.configure(message.snapshot, () => this.send({ type: 'configured', id: message.id }));
        return;
      case 'lookedUp':
        this.gates.nameFound(message.answer);
        return;
      case 'stop':
        this.isDraining = true;
        this.gates.close();
        this.terminateFlows('stopped');
        this.clock.stop();
        return;
      case 'flows': {
        const { clock } = this;
        const list = listFlows(this.number, clock.registered(), message.query, clock.nowMs);
        this.send({ type: 'flows', id: message.id, list });
        return;
      }
      case 'endFlow': {
        const session = findSession(this.clock.registered(), message.sequence);
        session?.terminate('ended_by_admin');
        this.send({ type: 'flowEnded', id: message.id, found: session !== undefined });
        return;
      }
    }
  }

  /** What flows look up each time is new at once; listeners and upstreams are exchanged. */
  private configure(snapshot: WorkerSnapshot, onDone: () => void): void {
    // What drains has closed its listeners for good.
    if (this.isDraining) {
      onDone();
      return;
    }
    const { limits, log, timeouts } = snapshot;
    this.configureLog(log);
    this.timeouts = timeouts;
    this.connections.max = limits.connectionsMax;
    this.clientDescriptorsEnd = limits.clientDescriptorsEnd;
    this.cachedFilesMax = limits.cachedFiles;
    this.pipes.memoryBytes = limits.pipeMemoryBytes;
    this.gates.configure(snapshot, onDone);
  }

  private configureLog(log: LogSnapshot): void {
    this.accessBatch.flush();
    this.log.level = log.level;
    this.notesRequests = log.notesRequests ?? false;
    this.accessLog.configure(log);
    this.logsAccess = log.access && this.accessLog.isHeard;
  }

  private flushLogs(): void {
    this.logBatch.flush();
    this.accessBatch.flush();
  }

  private drain(timeoutMs: number): void {
    if (this.isDraining) return;
    this.gates.retire();
    // Not before: the first of those who were queued may end at once, and is not the last.
    this.isDraining = true;
    this.send({ type: 'draining' });
    this.clock.wheel.schedule(this.drainTimer, this.clock.nowMs + timeoutMs);
    for (const session of sessionsOf(this.clock.registered())) session.drain();
    this.endIfIdle();
  }

  private endIfIdle(): void {
    if (this.counters.values[Counter.flows_active] === 0 && this.shadows.size === 0)
      this.clock.stop();
  }

  /** What can still be done in order: access lines, and places given back. The slot does the rest. */
  private endFlowsOfTheDying(): void {
    for (const session of sessionsOf(this.clock.registered())) {
      try {
        session.terminate('worker_died');
      } catch {
        // Its own bug, or that of the worker once more: the next one may be well.
      }
    }
    this.shadows.close();
    // Whoever closes what the thread leaves knows of descriptors, not of what is mapped.
    this.clock.calls?.close();
  }

  private terminateFlows(reason: 'drain_timeout' | 'stopped'): void {
    for (const session of sessionsOf(this.clock.registered())) session.terminate(reason);
  }

  freeDescriptors(): boolean {
    return this.clock.closeEnded() + this.pipes.releaseIdle() > 0;
  }

  private updateGauges(): void {
    const { values } = this.counters;
    const { gauges } = this.pipes;
    values[Counter.pipes_pooled] = gauges.pooled;
    values[Counter.pipes_in_use] = gauges.inUse;
    values[Counter.pipe_capacity_bytes] = gauges.capacityBytes;
    values[Counter.buffers_in_use] = this.buffers.inUse + this.gates.buffersInUse;
  }

  /** @returns nothing where each call is made by itself */
  private openCalls(thread: ThreadKernel): TurnCalls | undefined {
    const batch = thread.openBatch(EVENTS_MAX);
    if (typeof batch === 'number') {
      this.ringErrno = -batch;
      return undefined;
    }
    return new TurnCalls(batch, this.counters);
  }

  private pinTo(core: number): void {
    const mask = new NativeMemory(128);
    mask.bytes[core >> 3] = 1 << (core & 7);
    const result = this.kernel.sched_setaffinity(0, mask.byteLength, mask.address);
    if (result < 0) this.log.warn({ core, errno: -result }, 'worker: not pinned to its core');
  }

  private send(message: FromWorker): void {
    this.port.postMessage(message);
  }
}
