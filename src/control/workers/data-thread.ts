import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker as Thread,
} from 'node:worker_threads';
import { moduleToRun } from '../../bundles.js';
import {
  type CaptureLaneMemory,
  COUNTER_REGION_BYTES,
  Counters,
  type FlowList,
  type FlowQuery,
  type FromWorker,
  type NameAnswer,
  type ToWorker,
  type UpstreamSnapshot,
  type WorkerSnapshot,
  type WorkerStart,
} from '../../proxy/index.js';
import { DescriptorLedger, EventFd, type Kernel } from '../../splice/index.js';
import type { LogSink } from '../logging/index.js';
import { prepareCompiler } from './compiler.js';
import { Questions } from './questions.js';

/** Memory of a worker that outlives it: see worker-slot.ts. */
export interface WorkerMemory {
  readonly counters: SharedArrayBuffer;
  readonly descriptors: SharedArrayBuffer;
}

export interface DataThreadOptions {
  /** Of a worker whose place this one takes; its own by default. */
  readonly memory?: WorkerMemory;
  /** Module the thread runs, the data plane by default. */
  readonly entry?: URL | undefined;
  /** Its way to the capture thread, its own. */
  readonly captureLane?: CaptureLaneMemory | undefined;
  /** Looks up names that clients ask for; nobody does, by default. Never rejects. */
  readonly lookUp?: ((name: string) => Promise<NameAnswer>) | undefined;
}

/** A thread that has only been started looks at its messages when its modules are loaded. */
const START_TIMEOUT_MS = 30_000;
/**
 * What a worker makes is dead by the next look of V8's collector, which takes half a millisecond: often enough, and
 * room for 2,000 new connections. Left alone, V8 lets these pages grow to 48 MiB when many connections come at once.
 * A third of it is where new objects go.
 */
const YOUNG_GENERATION_MAX_MB = 12;
/** Without a slot there is nobody to read it. */
const LEDGER_BYTES = 65_536;

/**
 * A worker as the control thread sees it: a thread that never looks up from its epoll loop unless
 * the bell rings, a port for messages, and counters to read along.
 */
export class DataThread {
  readonly counters: Counters;
  /** Flows that workers with these counters had taken along before this one began. */
  readonly flowsLostBefore: number;
  /** Settles when the worker serves its listeners; rejects when it dies before. */
  readonly ready: Promise<void>;
  /** Settles when the thread is gone; the error that killed it, or nothing after a clean end. */
  readonly gone: Promise<unknown>;
  /** The loop runs: from its first message until the thread is gone. */
  isRunning = false;
  private isGone = false;
  private readonly port: MessagePort;
  private readonly bell: EventFd;
  private readonly questions: Questions;
  private readonly lookUp: DataThreadOptions['lookUp'];
  private readonly logBacklog = new SharedArrayBuffer(4);

  /** @param shared numbers that all workers write */
  constructor(
    kernel: Kernel,
    public snapshot: WorkerSnapshot,
    shared: SharedArrayBuffer,
    private readonly sink: LogSink,
    {
      memory = createMemory(),
      entry = moduleToRun('worker.js'),
      captureLane,
      lookUp,
    }: DataThreadOptions = {},
  ) {
    this.counters = new Counters(memory.counters);
    this.lookUp = lookUp;
    this.flowsLostBefore = this.counters.flowsLost;
    this.bell = EventFd.open(kernel);
    this.questions = new Questions(`worker ${snapshot.worker}`);
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const start: WorkerStart = {
      snapshot,
      port: port2,
      bellFd: this.bell.fd,
      ...memory,
      shared,
      logBacklog: this.logBacklog,
      captureLane,
    };
    prepareCompiler(snapshot);
    const thread = new Thread(entry, {
      name: `worker-${snapshot.worker}`,
      workerData: start,
      transferList: [port2],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MAX_MB },
    });
    let failure: unknown;
    thread.on('error', (error) => {
      failure = error;
    });
    this.gone = new Promise((resolve) => {
      thread.on('exit', () => {
        this.isRunning = false;
        this.isGone = true;
        this.receiveTheRest();
        this.questions.abandon();
        this.bell.close();
        this.port.close();
        resolve(failure);
      });
    });
    this.ready = new Promise((resolve, reject) => {
      this.port.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          this.isRunning = true;
          resolve();
        }
        this.receive(message);
      });
      thread.on('exit', () => reject(failure ?? new Error('the worker ended before it began')));
    });
    // Whoever waits hears of it; nobody has to.
    this.ready.catch(() => {});
  }

  send(message: ToWorker): void {
    // The bell's descriptor may be somebody else's by now.
    if (this.isGone) return;
    this.port.postMessage(message);
    this.bell.ring();
  }

  /** The worker's live flows that match. @throws NoAnswer */
  async flows(query: FlowQuery): Promise<FlowList> {
    const answer = await this.questions.ask((id) => this.send({ type: 'flows', id, query }));
    return answer?.type === 'flows' ? answer.list : { flows: [], matched: 0 };
  }

  /** Names lead elsewhere. @param upstreams all; those that are as they were are the same objects */
  replaceUpstreams(upstreams: readonly UpstreamSnapshot[]): void {
    const known = new Set(this.snapshot.upstreams);
    this.snapshot = { ...this.snapshot, upstreams };
    this.send({ type: 'upstreams', upstreams: upstreams.filter((one) => !known.has(one)) });
  }

  /** Settles when the worker has put it in force, or is gone. @throws NoAnswer */
  async configure(snapshot: WorkerSnapshot): Promise<void> {
    this.snapshot = snapshot;
    if (this.isGone) return;
    prepareCompiler(snapshot);
    await this.questions.ask(
      (id) => this.send({ type: 'configure', id, snapshot }),
      this.isRunning ? undefined : START_TIMEOUT_MS,
    );
  }

  /** Ends a live flow. @returns false when there is none of that number @throws NoAnswer */
  async endFlow(sequence: number): Promise<boolean> {
    const answer = await this.questions.ask((id) => this.send({ type: 'endFlow', id, sequence }));
    return answer?.type === 'flowEnded' && answer.found;
  }

  /** The thread's exit overtakes what it sent: the last log lines are still in the port. */
  private receiveTheRest(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.port) as { message: FromWorker } | undefined;
      if (received === undefined) return;
      this.receive(received.message);
    }
  }

  private receive(message: FromWorker): void {
    switch (message.type) {
      case 'log':
        this.sink.writeLines(this.received(message.lines));
        return;
      case 'lookUp':
        void this.lookUp?.(message.name).then((answer) => this.send({ type: 'lookedUp', answer }));
        return;
      case 'access':
        this.sink.access.write(this.received(message.lines));
        return;
      case 'flows':
      case 'flowEnded':
      case 'configured':
        this.questions.answer(message);
        return;
    }
  }

  /** They are not on their way any more. Between threads a Buffer loses its prototype. */
  private received({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
    Atomics.sub(new Int32Array(this.logBacklog), 0, byteLength);
    return Buffer.from(buffer, byteOffset, byteLength);
  }
}

function createMemory(): WorkerMemory {
  return {
    counters: new SharedArrayBuffer(COUNTER_REGION_BYTES),
    descriptors: DescriptorLedger.createMemory(LEDGER_BYTES),
  };
}
