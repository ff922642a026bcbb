import { release } from 'node:os';
import { type Config, formatProblem, type ListenerConfig, type Loaded } from '../config/index.js';
import type { FlowList, FlowQuery } from '../proxy/index.js';
import type { AdminTarget, ReloadResult } from './admin/index.js';
import { openFilesMax } from './machine/index.js';
import { reload, STOPPING } from './reload.js';
import { Site, type SiteOptions } from './site.js';
import { readRouteStatistics, readStatistics, type Statistics } from './statistics/index.js';
import { endFlow, listFlows } from './workers/index.js';

/** What a proxy may be started with besides its configuration. */
export interface StartOptions extends SiteOptions {
  /** Reads the configuration again, for a reload; without it there is nothing to read. */
  readonly source?: () => Loaded;
}

/** One address that accepts connections. */
export interface ListeningAddress {
  readonly listener: string;
  readonly kind: 'tcp' | 'http' | 'https';
  /** Clients speak TLS. */
  readonly isSecure: boolean;
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
  /** Settles once every worker is gone; rejects when one died of a bug and was not replaced. */
  readonly stopped: Promise<void>;
  private readonly startedMs = performance.now();
  private isEnding = false;
  private readonly reloads = { applied: 0, refused: 0, isLastRefused: false };
  /** One reload after the other. */
  private lastReload: Promise<unknown> = Promise.resolve();

  private constructor(
    private config: Config,
    private readonly site: Site,
    private readonly source: (() => Loaded) | undefined,
  ) {
    this.stopped = this.waitForWorkers();
    this.stopped.catch(() => {});
  }

  /**
   * Binds every listener, starts the workers and waits until they accept.
   *
   * @throws SystemCallError when an address cannot be bound; nothing is left behind
   */
  static async start(config: Config, options: StartOptions = {}): Promise<Supervisor> {
    let supervisor: Supervisor | undefined;
    const site = new Site(config, options, () => supervisor?.tellWorkers());
    const wasRoot = process.getuid!() === 0;
    await site.open(config);
    try {
      site.startWorkers(config);
    } catch (error) {
      // Whoever has begun, and what was opened, would keep the process for ever.
      site.listeners.closeFrom(site.workers.length);
      await new Supervisor(config, site, options.source).close().catch(() => {});
      throw error;
    }
    supervisor = new Supervisor(config, site, options.source);
    const { logger } = site.sink;
    await site.admin.serve(supervisor.adminTarget(), logger);
    await Promise.all(site.workers.map(({ ready }) => ready));
    logger.info(
      {
        workers: site.workers.length,
        pid: process.pid,
        node: process.version,
        kernel: release(),
        connections_max: config.limits.connectionsMax,
        // Two a flow, and two more while it splices.
        open_files_max: openFilesMax(),
      },
      'started',
    );
    // Not now: it takes a while, and whoever waits for the start is not to wait for that.
    if (wasRoot && process.getuid!() !== 0) setImmediate(() => supervisor!.rehearse());
    return supervisor;
  }

  /** `http://127.0.0.1:9901/` or `unix:/path`; `undefined` without an admin endpoint. */
  get adminAddress(): string | undefined {
    return this.site.admin.text;
  }

  get addresses(): ListeningAddress[] {
    return this.site.listeners.all.map(({ listener, text }) => ({
      listener: listener.name,
      kind: kindOf(listener),
      isSecure: listener.tls !== null,
      address: text,
    }));
  }

  statistics(): Statistics {
    const counted = readStatistics(
      this.site.workers.map(({ counters }) => counters),
      this.site.listeners.names,
    );
    return {
      ...counted,
      captures: this.site.captures.statistics,
      routes: readRouteStatistics(this.site.admissions.routes),
      upstreams: this.site.upstreams.statistics(),
      names: this.site.upstreams.nameFacts,
      validities: this.site.credentials.validities,
      uptimeMs: performance.now() - this.startedMs,
      workers: {
        configured: this.site.workers.length,
        running: this.running,
        deaths: this.site.workers.reduce((sum, { deaths }) => sum + deaths, 0),
      },
      reloads: { ...this.reloads },
      limits: this.config.limits,
      logLinesDropped: this.site.sink.linesDropped,
      accessFile: {
        errors: this.site.sink.access.errors,
        linesLost: this.site.sink.access.linesLost,
      },
    };
  }

  /** Every worker accepts, and goes on accepting. */
  get isReady(): boolean {
    return !this.isEnding && this.running === this.site.workers.length;
  }

  /** Somebody serves, or it ends because it was told to: who died is replaced without a restart. */
  get isHealthy(): boolean {
    return this.isEnding || this.running > 0;
  }

  /** Workers that serve. */
  private get running(): number {
    return this.site.workers.filter(({ isRunning }) => isRunning).length;
  }

  /** Live flows of all workers. @throws NoAnswer when a worker is stuck */
  flows(query: FlowQuery): Promise<FlowList> {
    return listFlows(this.site.workers, query);
  }

  /** Ends one with a reset. @returns false when it is not there @throws NoAnswer */
  endFlow(id: string): Promise<boolean> {
    return endFlow(this.site.workers, id);
  }

  /**
   * Stops accepting, after what the kernel had queued was accepted, and lets flows end.
   *
   * @param timeoutMs flows that are left by then are reset; `timeouts.drain` by default
   */
  async drain(timeoutMs = this.config.timeouts.drainMs): Promise<void> {
    if (!this.isEnding) {
      this.beginToEnd();
      this.site.sink.logger.info(
        { flows: this.statistics().totals.flows_active, timeout_ms: timeoutMs },
        'draining',
      );
      this.site.listeners.removeFiles();
      for (const worker of this.site.workers) worker.drain(timeoutMs);
    }
    await this.stopped;
  }

  /** A bug of the control thread: says so, and ends every flow with a reset. */
  async fail(error: unknown): Promise<void> {
    this.site.sink.logger.fatal({ err: error }, 'the control thread has failed: ending');
    await this.close();
  }

  /** Ends every flow with a reset, now. */
  async close(): Promise<void> {
    this.endWorkers();
    await this.stopped;
  }

  /**
   * Puts another configuration in force; flows go on. All of it or nothing, but for what needs a
   * restart, which the result says.
   */
  reload(config: Config): Promise<ReloadResult> {
    return this.inTurn(() => this.reloadNow(config));
  }

  /** Reads the configuration again where it came from, and puts it in force if it is valid. */
  reloadSource(): Promise<ReloadResult> {
    return this.inTurn(async () => {
      if (this.source === undefined) {
        return this.refuse(['this proxy was not started from a file']);
      }
      if (this.isEnding) return this.refuse([STOPPING]);
      const loaded = this.source();
      return loaded.ok
        ? this.reloadNow(loaded.config)
        : this.refuse(loaded.problems.map(formatProblem));
    });
  }

  /** Opens the file of access lines anew, for one that was moved away. */
  reopenLogs(): void {
    this.site.sink.access.reopen();
  }

  /**
   * Root could read what the user it has become may not: keys, most of all. Every reload would be refused, and files
   * that are read again as they change would stay as they were; better that is known before a certificate is renewed.
   */
  private rehearse(): void {
    if (this.isEnding) return;
    const loaded = this.source?.();
    if (loaded === undefined || loaded.ok) return;
    const problems = loaded.problems.map(formatProblem);
    this.site.sink.logger.warn(
      { user: this.config.user ?? undefined, problems },
      'the user that the process has become cannot read the configuration again: a reload would be refused',
    );
  }

  /** Certificates or ticket keys are others. */
  private tellWorkers(): void {
    void this.inTurn(async () => {
      if (!this.isEnding) await this.site.tellWorkers(this.config);
    });
  }

  private inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const turn = this.lastReload.then(task);
    this.lastReload = turn.catch(() => {});
    return turn;
  }

  private async reloadNow(wanted: Config): Promise<ReloadResult> {
    if (this.isEnding) return this.refuse([STOPPING]);
    const { site } = this;
    const { result, config } = await reload(site, this.config, wanted, () => this.isEnding);
    if (!result.ok) return this.refuse(result.problems);
    this.config = config;
    this.reloads.applied++;
    this.reloads.isLastRefused = false;
    this.site.sink.logger.info({ changes: result.changes }, 'reloaded');
    return result;
  }

  private refuse(problems: readonly string[]): ReloadResult {
    this.reloads.refused++;
    this.reloads.isLastRefused = true;
    this.site.sink.logger.error({ problems }, 'not reloaded: nothing was changed');
    return { ok: false, problems };
  }

  private adminTarget(): AdminTarget {
    return {
      statistics: () => this.statistics(),
      isReady: () => this.isReady,
      isHealthy: () => this.isHealthy,
      flows: (query) => this.flows(query),
      endFlow: (id) => this.endFlow(id),
      config: () => this.config,
      upstreams: () => this.site.upstreams.status(),
      setEndpoint: (upstream, endpoint, order) =>
        this.site.upstreams.order(upstream, endpoint, order),
      reload: () => this.reloadSource(),
      isStopping: () => this.isEnding,
    };
  }

  private async waitForWorkers(): Promise<void> {
    const failures = await Promise.all(
      this.site.workers.map(async ({ over }) => {
        const failure = await over;
        if (failure !== undefined && !this.isEnding) this.endWorkers();
        return failure;
      }),
    );
    // What a reload under way has bound, and its names, would stay behind.
    await this.lastReload;
    await this.site.close();
    const failure = failures.find((one) => one !== undefined);
    if (failure !== undefined) throw failure;
  }

  private beginToEnd(): void {
    this.isEnding = true;
    this.site.upstreams.hurry();
  }

  private endWorkers(): void {
    this.beginToEnd();
    for (const worker of this.site.workers) worker.stop();
  }
}

function kindOf({ http, tls }: ListenerConfig): ListeningAddress['kind'] {
  if (http === null) return 'tcp';
  return tls === null ? 'http' : 'https';
}
