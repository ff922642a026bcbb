import { readFileSync } from 'node:fs';
import { availableParallelism, release } from 'node:os';
import type { Config } from '../config/index.js';
import {
  type AdmissionSnapshot,
  EndpointSlots,
  EndpointTable,
  type FlowList,
  type FlowQuery,
  type ListenerSnapshot,
  SHARED_BYTES,
  type UpstreamSnapshot,
  upstreamDefaults,
  type WorkerSnapshot,
} from '../proxy/index.js';
import { createKernel, formatAddress } from '../splice/index.js';
import type { AdminTarget } from './admin/index.js';
import { AdminEndpoint } from './admin-endpoint.js';
import { makeAdmission } from './admission.js';
import { connectOptions } from './connect-options.js';
import { DataThread } from './data-thread.js';
import { type DemoOrigin, startDemoOrigin } from './demo-origin.js';
import { listenerRoutes } from './listener-routes.js';
import { type BoundAddress, bindAddress, removeSocketFile } from './listening.js';
import { endFlow, listFlows } from './live-flows.js';
import { LogSink } from './log-sink.js';
import { dropPrivileges } from './privileges.js';
import { socketAddress } from './socket-address.js';
import { readStatistics, type Statistics } from './statistics.js';

/** What is asked of each pipe; docs/benchmarks.md has the measurement. */
const PIPE_BYTES = 1024 * 1024;

/** One address that accepts connections. */
export interface ListeningAddress {
  readonly listener: string;
  /** `tcp` until other kinds exist. */
  readonly kind: 'tcp';
  /** `127.0.0.1:8080`, `[::1]:8080`, `unix:/path`: as bound. */
  readonly address: string;
}

/**
 * The control thread's view of a running proxy: it binds, starts the workers, and stops them.
 *
 * ```
 *   start ──▶ running ──drain──▶ draining ──all workers gone──▶ stopped
 *                └──────────────────close──────────────────────▶
 * ```
 */
export class Supervisor {
  /** Settles once every worker is gone; rejects when one died of a bug. */
  readonly stopped: Promise<void>;
  private readonly startedMs = performance.now();
  private isEnding = false;

  private constructor(
    private readonly config: Config,
    private readonly sink: LogSink,
    private readonly bound: readonly BoundAddress[],
    private readonly origins: readonly DemoOrigin[],
    private readonly threads: readonly DataThread[],
    private readonly admin: AdminEndpoint | undefined,
  ) {
    this.stopped = this.waitForThreads();
    this.stopped.catch(() => {});
  }

  /**
   * Binds every listener, starts the workers and waits until they accept.
   *
   * @throws SystemCallError when an address cannot be bound; nothing is left behind
   */
  static async start(config: Config, sink = new LogSink(config.log)): Promise<Supervisor> {
    const kernel = createKernel();
    const workers = config.workers === 'auto' ? availableParallelism() : config.workers;
    const bound: BoundAddress[] = [];
    const origins = new Map<string, DemoOrigin>();
    let admin: AdminEndpoint | undefined;
    try {
      if (config.admin !== null) admin = await AdminEndpoint.bind(kernel, config.admin);
      for (const listener of config.listeners) {
        for (const address of listener.bind) {
          bound.push(await bindAddress(kernel, listener, address, workers));
        }
      }
      for (const { name, demo } of config.upstreams) {
        if (demo) origins.set(name, await startDemoOrigin());
      }
      dropPrivileges(kernel, config);
    } catch (error) {
      for (const { fds } of bound) for (const fd of fds) kernel.close(fd);
      for (const origin of origins.values()) origin.close();
      admin?.close();
      throw error;
    }
    const shared = new SharedArrayBuffer(SHARED_BYTES);
    const admissions = config.listeners.map(makeAdmission);
    const endpointTable = EndpointTable.createMemory(workers);
    const slots = new EndpointSlots(new EndpointTable(endpointTable));
    const upstreams = makeUpstreams(config, origins, slots);
    const threads = Array.from({ length: workers }, (_, worker) => {
      const snapshot = {
        ...makeSnapshot(config, worker, workers, bound, admissions),
        upstreams,
        endpointTable,
      };
      return new DataThread(kernel, snapshot, shared, sink);
    });
    const supervisor = new Supervisor(config, sink, bound, [...origins.values()], threads, admin);
    await admin?.serve(supervisor.adminTarget(), sink.logger);
    await Promise.all(threads.map(({ ready }) => ready));
    sink.logger.info(
      {
        workers,
        pid: process.pid,
        node: process.version,
        kernel: release(),
        connections_max: config.limits.connectionsMax,
        // Two a flow, and two more while it splices.
        open_files_max: openFilesMax(),
      },
      'started',
    );
    return supervisor;
  }

  /** `http://127.0.0.1:9901/` or `unix:/path`; `undefined` without an admin endpoint. */
  get adminAddress(): string | undefined {
    return this.admin?.text;
  }

  get addresses(): ListeningAddress[] {
    return this.bound.map(({ listener, text }) => ({
      listener: listener.name,
      kind: 'tcp',
      address: text,
    }));
  }

  statistics(): Statistics {
    const counted = readStatistics(
      this.threads.map(({ counters }) => counters),
      this.config.listeners.map(({ name }) => name),
    );
    const running = this.threads.filter(({ isRunning }) => isRunning).length;
    return {
      ...counted,
      uptimeMs: performance.now() - this.startedMs,
      workers: { configured: this.threads.length, running },
      limits: this.config.limits,
      logLinesDropped: this.sink.linesDropped,
    };
  }

  /** Every worker accepts, and goes on accepting. */
  get isReady(): boolean {
    return this.isHealthy && !this.isEnding;
  }

  /** Every worker runs, or has ended because it was told to. */
  get isHealthy(): boolean {
    return this.isEnding || this.threads.every(({ isRunning }) => isRunning);
  }

  /** Live flows of all workers. @throws NoAnswer when a worker is stuck */
  flows(query: FlowQuery): Promise<FlowList> {
    return listFlows(this.threads, query);
  }

  /** Ends one with a reset. @returns false when it is not there @throws NoAnswer */
  endFlow(id: string): Promise<boolean> {
    return endFlow(this.threads, id);
  }

  /**
   * Stops accepting, after what the kernel had queued was accepted, and lets flows end.
   *
   * @param timeoutMs flows that are left by then are reset; `timeouts.drain` by default
   */
  async drain(timeoutMs = this.config.timeouts.drainMs): Promise<void> {
    if (!this.isEnding) {
      this.isEnding = true;
      this.sink.logger.info(
        { flows: this.statistics().totals.flows_active, timeout_ms: timeoutMs },
        'draining',
      );
      for (const thread of this.threads) thread.send({ type: 'drain', timeoutMs });
    }
    await this.stopped;
  }

  /** Ends every flow with a reset, now. */
  async close(): Promise<void> {
    this.isEnding = true;
    for (const thread of this.threads) thread.send({ type: 'stop' });
    await this.stopped;
  }

  private adminTarget(): AdminTarget {
    return {
      statistics: () => this.statistics(),
      isReady: () => this.isReady,
      isHealthy: () => this.isHealthy,
      flows: (query) => this.flows(query),
      endFlow: (id) => this.endFlow(id),
      config: () => this.config,
    };
  }

  private async waitForThreads(): Promise<void> {
    const failures = await Promise.all(
      this.threads.map(async ({ gone, snapshot }) => {
        const failure = await gone;
        if (failure === undefined && this.isEnding) return undefined;
        this.sink.logger.fatal({ err: failure, worker: snapshot.worker }, 'a worker died');
        if (!this.isEnding) this.endOthers();
        return failure ?? new Error(`worker ${snapshot.worker} ended by itself`);
      }),
    );
    for (const origin of this.origins) origin.close();
    this.admin?.close();
    for (const one of this.bound) removeSocketFile(one.address);
    this.sink.logger.info('stopped');
    await this.sink.close();
    const failure = failures.find((one) => one !== undefined);
    if (failure !== undefined) throw failure;
  }

  private endOthers(): void {
    this.isEnding = true;
    for (const thread of this.threads) thread.send({ type: 'stop' });
  }
}

/** The soft limit of open files; Node has raised it to the hard one (`getrlimit(2)`). */
function openFilesMax(): number | undefined {
  const line = readFileSync('/proc/self/limits', 'utf8').match(/^Max open files\s+(\d+)/m);
  return line === null ? undefined : Number(line[1]);
}

function makeSnapshot(
  config: Config,
  worker: number,
  workers: number,
  bound: readonly BoundAddress[],
  admissions: readonly (AdmissionSnapshot | undefined)[],
): Omit<WorkerSnapshot, 'upstreams' | 'endpointTable'> {
  const { timeouts, limits, log } = config;
  const upstreamIndex = new Map(config.upstreams.map(({ name }, index) => [name, index]));
  return {
    worker,
    core: config.pinWorkers ? worker % availableParallelism() : -1,
    listeners: bound.map(
      ({ listener, address, text, fds }): ListenerSnapshot => ({
        name: listener.name,
        index: config.listeners.indexOf(listener),
        fd: fds[worker]!,
        address: text,
        family: address.family,
        transparent: listener.socket.transparent,
        admission: admissions[config.listeners.indexOf(listener)],
        ...listenerRoutes(listener, upstreamIndex),
      }),
    ),
    timeouts,
    limits: {
      connectionsMax: limits.connectionsMax,
      pipeMemoryBytes: Math.floor(limits.pipeMemoryBytes / workers),
      pipeBytes: PIPE_BYTES,
    },
    log: { level: log.level, access: log.access },
  };
}

function makeUpstreams(
  config: Config,
  origins: ReadonlyMap<string, DemoOrigin>,
  slots: EndpointSlots,
): UpstreamSnapshot[] {
  const upstreams = config.upstreams.map(({ name, endpoints, demo, sendProxyProtocol }) => {
    const addresses = demo ? [origins.get(name)!.address] : endpoints.map(socketAddress);
    return {
      name,
      ...(sendProxyProtocol !== null && { sendProxyProtocol }),
      endpoints: addresses.map((address) => ({ address, weight: 1, backup: false })),
    };
  });
  const assigned = slots.assign(
    upstreams.map(({ name, endpoints }) => ({
      upstream: name,
      endpoints: endpoints.map(({ address, weight }) => ({
        address: formatAddress(address),
        weight,
      })),
    })),
  );
  return upstreams.map(({ endpoints, ...upstream }, index) => ({
    ...upstreamDefaults,
    ...upstream,
    slot: assigned[index]!.slot,
    endpoints: endpoints.map((endpoint, position) => ({
      ...endpoint,
      socket: connectOptions(config.upstreams[index]!.socket),
      slot: assigned[index]!.endpoints[position]!,
    })),
  }));
}
