import { availableParallelism } from 'node:os';
import type { Config } from '../config/index.js';
import { ConnectionLimit, EndpointTable } from '../proxy/index.js';
import { createKernel } from '../splice/index.js';
import { type AdminChange, AdminPlace } from './admin/index.js';
import { Captures } from './capture/index.js';
import { DemoOrigins } from './demo/index.js';
import type { DiscoveryOptions } from './discovery/index.js';
import { type BoundChange, BoundListeners, InheritedListeners } from './listening/index.js';
import { LogSink } from './logging/index.js';
import { checkCongestionControls, dropPrivileges, openFilesMax } from './machine/index.js';
import { Admissions, checkFileRoutes, makeSnapshot } from './snapshots/index.js';
import { Credentials } from './tls/index.js';
import { Upstreams } from './upstreams/index.js';
import { WorkerSlot } from './workers/index.js';

/** What a proxy may be started with besides its configuration. */
export interface SiteOptions {
  readonly sink?: LogSink;
  /** Where names are looked up; as the system says by default. */
  readonly discovery?: Partial<DiscoveryOptions>;
  /** Module the workers run; a test's own, or the one of production. */
  readonly workerEntry?: URL;
  /** The same for the capture thread. */
  readonly recorderEntry?: URL;
}

/**
 * All that a running proxy consists of, in the order of its life: made, opened (bound, looked up, privileges dropped),
 * staffed with workers, and closed once they are gone.
 */
export class Site {
  /** None before they are started. */
  readonly workers: WorkerSlot[] = [];
  readonly sink: LogSink;
  readonly listeners: BoundListeners;
  readonly admin: AdminPlace;
  readonly admissions: Admissions;
  readonly origins = new DemoOrigins();
  readonly captures: Captures;
  readonly upstreams: Upstreams;
  readonly credentials: Credentials;
  private readonly kernel = createKernel();
  private readonly workerCount: number;
  private readonly inherited = InheritedListeners.ofProcess(this.kernel);
  private readonly endpointTable: SharedArrayBuffer;
  private readonly workerEntry: URL | undefined;

  /** @param onCredentials is told when certificates or ticket keys are others than they were */
  constructor(config: Config, options: SiteOptions, onCredentials: () => void) {
    const { sink = new LogSink(config.log), discovery, workerEntry, recorderEntry } = options;
    const { logger } = sink;
    this.sink = sink;
    this.workerEntry = workerEntry;
    this.workerCount = config.workers === 'auto' ? availableParallelism() : config.workers;
    this.listeners = new BoundListeners(this.kernel, this.workerCount, this.inherited);
    this.admin = new AdminPlace(this.kernel);
    this.admissions = new Admissions(this.workerCount);
    this.captures = new Captures(this.kernel, logger, recorderEntry);
    this.endpointTable = EndpointTable.createMemory(this.workerCount);
    this.upstreams = new Upstreams({
      logger,
      table: new EndpointTable(this.endpointTable),
      ...(discovery === undefined ? {} : { discovery }),
      onChange: () => this.replaceUpstreams(),
    });
    this.credentials = new Credentials({ logger, onChange: onCredentials });
  }

  /**
   * Binds, looks names up, and becomes who the process is to be.
   *
   * @throws SystemCallError when an address cannot be bound; nothing is left behind
   */
  async open(config: Config): Promise<void> {
    const { listeners, admin, credentials, origins, upstreams, sink } = this;
    let adminBound: AdminChange | undefined;
    let bound: BoundChange | undefined;
    try {
      this.checkMachine(config);
      adminBound = await admin.prepare(config.admin);
      bound = await listeners.prepare(config);
      const prepared = credentials.prepare(config);
      await origins.start(config);
      await this.settleUpstreams(config);
      upstreams.publish();
      for (const name of this.inherited.unused()) {
        sink.logger.warn({ name }, 'no listener uses this socket of the service manager');
      }
      const sockets = bound.added.flatMap(({ fds }) => fds);
      dropPrivileges(this.kernel, config, [...sockets, ...(adminBound.endpoint?.claim.fds ?? [])]);
      // By whoever opens it anew later.
      const { accessFile } = config.log;
      if (accessFile !== null) sink.access.use(sink.access.open(accessFile.file));
      listeners.adopt(bound);
      credentials.adopt(prepared);
    } catch (error) {
      if (bound !== undefined) listeners.abandon(bound);
      if (adminBound !== undefined) admin.abandon(adminBound);
      origins.close();
      upstreams.stop();
      credentials.stop();
      throw error;
    }
    await admin.adopt(adminBound);
  }

  /**
   * Makes sure that this kernel can do what the configuration wants of it.
   * @throws Error with what it cannot
   */
  checkMachine(config: Config): void {
    checkFileRoutes(config, this.kernel);
    checkCongestionControls(config, this.kernel);
  }

  /** Looks up what the configuration's upstreams are called by; then they can be published, or abandoned. */
  async settleUpstreams(config: Config): Promise<void> {
    this.upstreams.configure(config.upstreams, this.origins.addresses);
    await this.upstreams.settle(config.timeouts.connectMs);
  }

  startWorkers(config: Config): void {
    const { kernel, admissions, sink, captures, workerEntry: entry } = this;
    const shared = ConnectionLimit.createMemory(this.workerCount);
    const lookUp = (name: string) => this.upstreams.lookUp(name);
    const surroundings = { kernel, shared, admissions, sink, captures, entry, lookUp };
    const parts = this.snapshotParts(config);
    for (let worker = 0; worker < this.workerCount; worker++) {
      this.workers.push(new WorkerSlot(surroundings, makeSnapshot(parts, worker)));
    }
  }

  /**
   * Every worker gets the configuration, and what has come of it since.
   * @returns a line for each that has not said that it has it, which is in the log, too
   */
  async tellWorkers(config: Config): Promise<string[]> {
    const parts = this.snapshotParts(config);
    const notes = await Promise.all(
      this.workers.map((worker) =>
        worker.configure(makeSnapshot(parts, worker.number)).then(
          () => [],
          (error: unknown) => {
            this.sink.logger.error(
              { err: error, worker: worker.number },
              'a worker has not confirmed what it was told',
            );
            return [`worker ${worker.number}: has not confirmed it, see the log`];
          },
        ),
      ),
    );
    return notes.flat();
  }

  replaceUpstreams(): void {
    for (const worker of this.workers) worker.replaceUpstreams(this.upstreams.snapshots);
  }

  /** The workers are gone; so is the rest now. */
  async close(): Promise<void> {
    await this.captures.stop();
    this.upstreams.stop();
    this.credentials.stop();
    this.origins.close();
    this.admin.close();
    this.listeners.removeFiles();
    this.sink.logger.info('stopped');
    await this.sink.close();
  }

  private snapshotParts(config: Config) {
    return {
      config,
      workers: this.workerCount,
      filesMax: openFilesMax() ?? Number.POSITIVE_INFINITY,
      listeners: this.listeners,
      upstreams: this.upstreams.snapshots,
      endpointTable: this.endpointTable,
      admissions: this.admissions.of(config),
      routeMemory: this.admissions.routes,
      tls: this.credentials.settings,
      captures: this.captures.configure(config),
    };
  }
}
