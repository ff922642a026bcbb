import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker as Thread,
} from 'node:worker_threads';
import {
  type CloseReason,
  COUNTER_REGION_BYTES,
  ConnectionLimit,
  Counter,
  type CounterName,
  Counters,
  closeReasons,
  type FromWorker,
  type HttpSnapshot,
  type Network,
  type TimeoutsSnapshot,
  type ToWorker,
  type WorkerSnapshot,
  type WorkerStart,
} from '#src/proxy/index.js';
import {
  createKernel,
  DescriptorLedger,
  EventFd,
  formatAddress,
  type Kernel,
  localAddress,
  openListener,
  Sockaddr,
  type SocketAddress,
} from '#src/splice/index.js';
import type { ClientTlsSettings, ServerTlsSettings } from '#src/tls/index.js';
import type { FaultPlan } from '../faults/fault-plan.js';
import { plainUpstreams, wholeMirror } from './upstream-snapshot.js';

export interface DataWorkerOptions {
  readonly endpoints: readonly SocketAddress[];
  readonly timeouts?: Partial<TimeoutsSnapshot>;
  readonly connectionsMax?: number;
  readonly logsAccess?: boolean;
  /** TLS ends at the listener. */
  readonly tls?: ServerTlsSettings;
  /** Requests are served at the listener; nothing where bytes are passed on. */
  readonly http?: HttpSnapshot;
  /** Networks whose connections begin with a PROXY header. */
  readonly acceptProxyFrom?: readonly Network[];
  /** Endpoints are spoken to by TLS. */
  readonly upstreamTls?: ClientTlsSettings | undefined;
  /** Names of the listener's routes; all of them lead to the endpoints. */
  readonly serverNames?: readonly string[];
  /** Connections are mirrored there. */
  readonly shadows?: readonly SocketAddress[];
  /** As in the configuration. */
  readonly ioUring?: boolean;
  /** Faults to inject; without a plan the worker is the one of production. */
  readonly plan?: FaultPlan;
  /** With a plan: reads and writes of a turn are made together, from the first event on. */
  readonly sharesCalls?: boolean;
}

/** A real worker in a real thread, seen as the control thread sees it. */
export class DataWorker {
  /** Where it accepts connections. */
  readonly address: SocketAddress;
  readonly counters: Counters;
  readonly messages: FromWorker[] = [];
  /** Settles when it serves. */
  readonly ready: Promise<void>;
  /** Settles when the thread is gone: with its exit code, or the error that killed it. */
  readonly gone: Promise<number | Error>;
  private readonly kernel: Kernel = createKernel();
  private readonly bell: EventFd;
  private readonly port: MessagePort;

  constructor(options: DataWorkerOptions) {
    const { endpoints, timeouts, connectionsMax = 1000, logsAccess = false, plan } = options;
    const { tls, upstreamTls, serverNames, http, acceptProxyFrom, shadows } = options;
    const fd = openListener(
      this.kernel,
      new Sockaddr({ family: 'inet', host: '127.0.0.1', port: 0 }),
      { backlog: 1024, reusePort: false, ipv6Only: false },
    );
    this.address = localAddress(this.kernel, fd);
    const { snapshots, endpointTable } = plainUpstreams({
      origin: endpoints,
      ...(shadows && { shadow: shadows }),
    });
    const [origin, shadow] = snapshots;
    const snapshot: WorkerSnapshot = {
      worker: 0,
      core: -1,
      ioUring: options.ioUring ?? true,
      listeners: [
        {
          name: 'test',
          index: 0,
          fd,
          address: formatAddress(this.address),
          family: 'inet',
          upstream: 0,
          ...(shadow && { mirror: wholeMirror }),
          tls,
          ...(http && { http }),
          ...(acceptProxyFrom && { acceptProxyFrom }),
          ...(serverNames && { routes: [{ names: serverNames, upstream: 0 }] }),
        },
      ],
      upstreams: [{ ...origin!, tls: upstreamTls }, ...(shadow === undefined ? [] : [shadow])],
      endpointTable,
      timeouts: {
        connectMs: 1000,
        headMs: 1000,
        keepAliveMs: 5000,
        tlsHandshakeMs: 1000,
        idleMs: 60_000,
        requestMs: 0,
        responseMs: 0,
        tunnelMs: timeouts?.idleMs ?? 60_000,
        ...timeouts,
      },
      limits: {
        connectionsMax,
        clientDescriptorsEnd: Number.POSITIVE_INFINITY,
        pipeMemoryBytes: 16 * 1024 * 1024,
        pipeBytes: 256 * 1024,
        headBytes: 32 * 1024,
        headers: 100,
        cachedFiles: 100,
      },
      log: { level: 'info', access: logsAccess },
    };
    const region = new SharedArrayBuffer(COUNTER_REGION_BYTES);
    this.counters = new Counters(region);
    this.bell = EventFd.open(this.kernel);
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const start: WorkerStart = {
      snapshot,
      port: port2,
      bellFd: this.bell.fd,
      counters: region,
      descriptors: DescriptorLedger.createMemory(4096),
      shared: ConnectionLimit.createMemory(1),
      logBacklog: new SharedArrayBuffer(4),
    };
    const thread =
      plan === undefined
        ? new Thread(new URL(import.meta.resolve('#src/proxy/worker-main.js')), {
            workerData: start,
            transferList: [port2],
          })
        : new Thread(new URL('../faults/faulty-worker.js', import.meta.url), {
            workerData: { start, plan: plan.memory, sharesCalls: options.sharesCalls ?? false },
            transferList: [port2],
          });
    let failure: Error | undefined;
    thread.on('error', (error) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.gone = new Promise((resolve) => {
      thread.on('exit', (code) => {
        // The thread's last words may still be under way.
        for (;;) {
          const last = receiveMessageOnPort(this.port) as { message: FromWorker } | undefined;
          if (last === undefined) break;
          this.messages.push(last.message);
        }
        this.bell.close();
        this.port.close();
        resolve(failure ?? code);
      });
    });
    this.ready = new Promise((resolve, reject) => {
      this.port.on('message', (message: FromWorker) => {
        this.messages.push(message);
        if (message.type === 'ready') resolve();
      });
      this.gone.then((how) => reject(how));
    });
    this.ready.catch(() => {});
  }

  /** Of {@link address}. */
  get tcpPort(): number {
    if (this.address.family === 'unix') throw new Error('not a port');
    return this.address.port;
  }

  send(message: ToWorker): void {
    this.port.postMessage(message);
    this.bell.ring();
  }

  /** Several messages that ring once. */
  sendAtOnce(...messages: readonly ToWorker[]): void {
    for (const message of messages) this.port.postMessage(message);
    this.bell.ring();
  }

  /** Rings without a message. */
  ring(): void {
    this.bell.ring();
  }

  count(name: CounterName): number {
    return this.counters.values[Counter[name]]!;
  }

  closed(reason: CloseReason): number {
    return this.counters.closedOf(0, closeReasons.indexOf(reason));
  }

  /** What it has logged so far, parsed. */
  get lines(): Record<string, unknown>[] {
    return this.messages
      .flatMap((one) => (one.type === 'log' ? Buffer.from(one.lines).toString().split('\n') : []))
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  /** Types of the messages that are no log lines, in order. */
  get said(): string[] {
    return this.messages.map(({ type }) => type).filter((type) => type !== 'log');
  }

  async stop(): Promise<number | Error> {
    this.send({ type: 'stop' });
    return this.gone;
  }
}
