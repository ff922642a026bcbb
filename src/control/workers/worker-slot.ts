import {
  COUNTER_REGION_BYTES,
  ConnectionLimit,
  type Counters,
  EndpointTable,
  type FlowList,
  type FlowQuery,
  type NameAnswer,
  type UpstreamSnapshot,
  type WorkerSnapshot,
} from '../../proxy/index.js';
import { DescriptorLedger, type Kernel } from '../../splice/index.js';
import type { Captures } from '../capture/index.js';
import type { LogSink } from '../logging/index.js';
import { openFilesMax } from '../machine/index.js';
import { RestartDelay } from '../restart-delay.js';
import type { Admissions } from '../snapshots/index.js';
import { DataThread, type WorkerMemory } from './data-thread.js';

/** What all slots of one proxy have in common. */
export interface WorkerSurroundings {
  readonly kernel: Kernel;
  /** Connections of all workers; see `ConnectionLimit`. */
  readonly shared: SharedArrayBuffer;
  readonly admissions: Admissions;
  readonly sink: LogSink;
  /** Absent where nothing is captured, ever. */
  readonly captures?: Captures | undefined;
  /** Looks up names that clients ask for. */
  readonly lookUp?: ((name: string) => Promise<NameAnswer>) | undefined;
  /** Module the threads run, when it is not the one of production. */
  readonly entry?: URL | undefined;
}

/**
 * One place among the workers, and whoever fills it.
 *
 * ```
 *              dies before it was ready, or while it ends
 *   starting ───────────────────────────────────────────────▶ over
 *      │                                                       ▲
 *      ▼        drain, stop                clean end           │
 *   filled ───────────────▶ ending ────────────────────────────┤
 *    │  ▲ │                   ▲                                │
 *    │  │ └─ dies ─▶ vacant ──┘ drain: the successor drains    │
 *    │  └──────────────┘ └─────────────────────────────────────┘
 *    │     100 ms … 5 s                    stop
 * ```
 *
 * Counters, listening sockets and the place in the endpoint table belong to the slot. They outlive a
 * worker, so its successor goes on counting and finds what the kernel has queued.
 *
 * A worker that dies of an exception has ended what it could before; whatever killed it, all that it
 * may have left is taken back here: descriptors, by its ledger, and its part of what all workers
 * count together.
 */
export class WorkerSlot {
  /** Workers that died here. */
  deaths = 0;
  /** Settles when the first worker serves its listeners; rejects when it dies before. */
  readonly ready: Promise<void>;
  /** Settles when nobody will follow; the error that killed the last one, or nothing. */
  readonly over: Promise<unknown>;
  /** Whoever fills the slot, or did so last. */
  private thread: DataThread;
  private readonly memory: WorkerMemory;
  private readonly ledger: DescriptorLedger;
  private readonly delay = new RestartDelay();
  /** Set while the slot is vacant. */
  private vacancy: NodeJS.Timeout | undefined;
  private hasBeenReady = false;
  private isEnding = false;
  private endWith!: (failure: unknown) => void;

  constructor(
    private readonly surroundings: WorkerSurroundings,
    snapshot: WorkerSnapshot,
  ) {
    this.memory = {
      counters: new SharedArrayBuffer(COUNTER_REGION_BYTES),
      descriptors: DescriptorLedger.createMemory(openFilesMax() ?? Number.POSITIVE_INFINITY),
    };
    this.ledger = new DescriptorLedger(this.memory.descriptors);
    this.over = new Promise((resolve) => {
      this.endWith = resolve;
    });
    this.thread = this.fill(snapshot);
    this.ready = this.thread.ready.then(() => {
      this.hasBeenReady = true;
    });
    // Whoever waits hears of it; nobody has to.
    this.ready.catch(() => {});
  }

  /** Position among the workers. */
  get number(): number {
    return this.thread.snapshot.worker;
  }

  get counters(): Counters {
    return this.thread.counters;
  }

  /** A worker serves the listeners. */
  get isRunning(): boolean {
    return this.thread.isRunning;
  }

  /** The worker's live flows that match. @throws NoAnswer */
  flows(query: FlowQuery): Promise<FlowList> {
    return this.thread.flows(query);
  }

  /** Ends a live flow. @returns false when there is none of that number @throws NoAnswer */
  endFlow(sequence: number): Promise<boolean> {
    return this.thread.endFlow(sequence);
  }

  /** Names lead elsewhere. */
  replaceUpstreams(upstreams: readonly UpstreamSnapshot[]): void {
    this.thread.replaceUpstreams(upstreams);
  }

  /**
   * Puts another configuration in force, for the worker and those that follow it. Settles when it is.
   * @throws NoAnswer
   */
  async configure(snapshot: WorkerSnapshot): Promise<void> {
    // What waits at a socket that is to go has somebody to take it.
    if (this.vacancy !== undefined) this.succeed();
    this.lend(snapshot);
    await this.thread.configure(snapshot);
  }

  /** Stops accepting and lets flows end, within `timeoutMs`; a death no longer brings a successor. */
  drain(timeoutMs: number): void {
    this.isEnding = true;
    // Somebody has to take what the kernel has queued.
    if (this.vacancy !== undefined) this.succeed();
    this.thread.send({ type: 'drain', timeoutMs });
  }

  /** Ends every flow with a reset, now. */
  stop(): void {
    this.isEnding = true;
    if (this.vacancy === undefined) {
      this.thread.send({ type: 'stop' });
      return;
    }
    clearTimeout(this.vacancy);
    this.vacancy = undefined;
    this.finish(undefined);
  }

  private lend({ listeners }: WorkerSnapshot): void {
    for (const { fd } of listeners) this.ledger.lend(fd);
  }

  private fill(snapshot: WorkerSnapshot): DataThread {
    const { kernel, shared, sink, entry, captures, lookUp } = this.surroundings;
    this.closeRemoved(snapshot);
    this.lend(snapshot);
    const lane = captures?.makeLane();
    const options = { memory: this.memory, entry, captureLane: lane?.memory, lookUp };
    const thread = new DataThread(kernel, snapshot, shared, sink, options);
    const bornMs = performance.now();
    void thread.gone.then((failure) => {
      if (lane !== undefined) captures!.retire(lane.id);
      this.vacate(failure, performance.now() - bornMs);
    });
    return thread;
  }

  private succeed(): void {
    clearTimeout(this.vacancy);
    this.vacancy = undefined;
    try {
      this.thread = this.fill(this.thread.snapshot);
    } catch (error) {
      // No descriptor for its bell, say.
      this.mourn(error, 0, {});
      return;
    }
    const { number } = this;
    this.thread.ready.then(
      () => this.surroundings.sink.logger.info({ worker: number }, `worker ${number} replaced`),
      () => {},
    );
  }

  /** The thread is gone. */
  private vacate(failure: unknown, livedMs: number): void {
    if (failure === undefined && this.isEnding) {
      this.finish(undefined);
      return;
    }
    this.deaths++;
    const error = failure ?? new Error(`worker ${this.number} ended by itself`);
    this.mourn(error, livedMs, this.takeBack());
  }

  /** Says what was lost, and sees to a successor. */
  private mourn(err: unknown, livedMs: number, losses: object): void {
    const isReplaced = this.hasBeenReady && !this.isEnding;
    const delayMs = isReplaced ? this.delay.next(livedMs) : undefined;
    const { number } = this;
    this.surroundings.sink.logger[isReplaced ? 'error' : 'fatal'](
      { err, worker: number, ...losses, replaced_in_ms: delayMs },
      `worker ${number} died`,
    );
    if (isReplaced) this.vacancy = setTimeout(() => this.succeed(), delayMs);
    else this.finish(err);
  }

  /** Undoes what a dead worker has done to the process and to the numbers all workers share. */
  private takeBack(): { flows: number; descriptors: number } {
    const { kernel, shared, admissions } = this.surroundings;
    const { counters, number, thread } = this;
    const { endpointTable, limits } = thread.snapshot;
    const descriptors = this.ledger.closeOwn(kernel);
    // A successor may be seconds away: until then the address would go on drawing clients, and be nobody's to bind.
    this.closeRemoved(thread.snapshot);
    new ConnectionLimit(shared, limits.connectionsMax, number).forgetWorker();
    admissions.forgetWorker(number);
    new EndpointTable(endpointTable).forgetWorker(number);
    counters.forgetWorker();
    return { flows: counters.flowsLost - thread.flowsLostBefore, descriptors };
  }

  /** Whoever was to close what is not in the configuration any more may have died before it did. */
  private closeRemoved({ listeners }: WorkerSnapshot): void {
    this.ledger.closeLent(this.surroundings.kernel, new Set(listeners.map(({ fd }) => fd)));
  }

  private finish(failure: unknown): void {
    this.ledger.closeLent(this.surroundings.kernel);
    this.endWith(failure);
  }
}
