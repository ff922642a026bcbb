import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker as Thread } from 'node:worker_threads';
import type { Logger } from 'pino';
import { moduleToRun } from '../../bundles.js';
import type { Config } from '../../config/index.js';
import {
  type CaptureLaneMemory,
  type CaptureSnapshot,
  incompleteReasons,
  RecorderBell,
} from '../../proxy/index.js';
import type { Kernel } from '../../splice/index.js';
import { RestartDelay } from '../restart-delay.js';
import type { StoreSettings } from './capture-store.js';
import { Lane } from './lane.js';
import { createRecorderCounters, RecorderSlot } from './recorder-counters.js';
import type { FromRecorder, RecorderStart, ToRecorder } from './recorder-messages.js';

/** What has become of captures, since the start. */
export interface CaptureStatistics {
  /** The capture thread: `off` while no listener captures. */
  readonly thread: 'off' | 'running' | 'down';
  /** Flows of which everything was captured. */
  readonly complete: number;
  /** Those that lack something, by why. */
  readonly incomplete: Readonly<Record<string, number>>;
  readonly diskBytes: number;
  /** Flows deleted to keep the limits of directories. */
  readonly deleted: number;
  /** What the directories hold. */
  readonly storedBytes: number;
  readonly storedFlows: number;
}

/** What is on the way to the disk is waited for so long; a disk may hang for ever. */
const STOP_TIMEOUT_MS = 5000;

/**
 * Captures as the control thread sees them: it starts the capture thread once a listener wants one, gives each
 * worker a lane to it, and sees to both when a worker or the capture thread is gone.
 *
 * ```
 *   off ──a listener captures──▶ running ◀──a moment──── down
 *                                   └──────it died────────▶
 * ```
 *
 * While it is down lanes fill up, and captures end there.
 */
export class Captures {
  private readonly bellMemory = RecorderBell.createMemory();
  private readonly bell = new RecorderBell(this.bellMemory);
  private readonly counterMemory = createRecorderCounters();
  private readonly counters = new Float64Array(this.counterMemory);
  private readonly restartDelay = new RestartDelay();
  /** By directory. */
  private readonly stores = new Map<string, StoreSettings>();
  /** Of workers that live, and of those whose captures are still being written. */
  private readonly lanes = new Map<number, Lane>();
  private lanesMade = 0;
  private isWanted = false;
  private isStopping = false;
  private thread: Thread | undefined;
  private port: MessagePort | undefined;
  private restart: NodeJS.Timeout | undefined;

  /** @param entry module the capture thread runs; a test's own, or the one of production */
  constructor(
    private readonly kernel: Kernel,
    private readonly logger: Logger,
    private readonly entry: URL = moduleToRun('recorder.js'),
  ) {}

  /** Puts a configuration in force. @returns what is captured, by listener */
  configure({ listeners }: Config): ReadonlyMap<string, CaptureSnapshot> {
    const wanted = new Map<string, CaptureSnapshot>();
    for (const { name, capture } of listeners) {
      if (capture === null) continue;
      const { directory, rotate, sample, directions, maxBytes } = capture;
      wanted.set(name, {
        store: this.storeOf(resolve(directory), rotate),
        sample,
        client: directions !== 'upstream',
        upstream: directions !== 'client',
        maxBytes: maxBytes ?? Number.POSITIVE_INFINITY,
      });
    }
    if (wanted.size === 0) return wanted;
    if (this.isWanted) this.send({ type: 'stores', stores: [...this.stores.values()] });
    else this.start();
    return wanted;
  }

  /** Memory for a worker that is about to start; it is that worker's alone. */
  makeLane(): { readonly id: number; readonly memory: CaptureLaneMemory } {
    const lane = new Lane(++this.lanesMade);
    this.lanes.set(lane.id, lane);
    if (this.isWanted) this.openLane(lane);
    return { id: lane.id, memory: { lane: lane.memory, bell: this.bellMemory } };
  }

  /** Its worker is gone: what it has left is taken, then its pipes are closed. */
  retire(id: number): void {
    const lane = this.lanes.get(id);
    if (lane === undefined) return;
    lane.retire();
    if (this.isWanted) this.send({ type: 'retire', id });
    else this.lanes.delete(id);
  }

  get statistics(): CaptureStatistics {
    const at = (slot: number): number => this.counters[slot]!;
    const incomplete = incompleteReasons
      .map((reason, index) => [reason, at(RecorderSlot.Incomplete + index)] as const)
      .filter(([reason]) => reason !== 'none');
    return {
      thread: !this.isWanted ? 'off' : this.thread === undefined ? 'down' : 'running',
      complete: at(RecorderSlot.Complete),
      incomplete: Object.fromEntries(incomplete),
      diskBytes: at(RecorderSlot.DiskBytes),
      deleted: at(RecorderSlot.Deleted),
      storedBytes: at(RecorderSlot.StoredBytes),
      storedFlows: at(RecorderSlot.StoredFlows),
    };
  }

  /** After the last worker: writes what is left, unless the disk takes too long. */
  async stop(): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.restart);
    const { thread } = this;
    if (thread === undefined) {
      this.closeLanes();
      return;
    }
    const exit = once(thread, 'exit').then(() => true);
    this.send({ type: 'stop' });
    const giveUp = new AbortController();
    const late = delay(STOP_TIMEOUT_MS, false, { signal: giveUp.signal }).catch(() => false);
    if (await Promise.race([exit, late])) {
      giveUp.abort();
      return;
    }
    // It stands in a system call, where nothing can end it. Its pipes stay as they are.
    thread.unref();
    this.logger.error('capture: the disk does not answer; what was on the way to it is lost');
  }

  private storeOf(directory: string, limits: StoreSettings['limits']): number {
    const store = this.stores.get(directory)?.store ?? this.stores.size;
    this.stores.set(directory, { store, directory, limits });
    return store;
  }

  private start(): void {
    this.isWanted = true;
    this.startThread();
    for (const lane of this.lanes.values()) this.openLane(lane);
  }

  private startThread(): void {
    const { port1, port2 } = new MessageChannel();
    const start: RecorderStart = {
      port: port2,
      bell: this.bellMemory,
      counters: this.counterMemory,
      messagesBefore: this.bell.messages,
    };
    const options = { name: 'capture', workerData: start, transferList: [port2] };
    const thread = new Thread(this.entry, options);
    const bornMs = performance.now();
    let failure: unknown;
    thread.on('error', (error) => {
      failure = error;
    });
    thread.once('exit', () => {
      port1.close();
      this.gone(failure, performance.now() - bornMs);
    });
    port1.on('message', (message: FromRecorder) => this.receive(message));
    // The thread keeps the process, as long as it is there.
    port1.unref();
    this.thread = thread;
    this.port = port1;
    this.send({ type: 'stores', stores: [...this.stores.values()] });
  }

  /** The thread has ended: as it was told, or of a bug. */
  private gone(err: unknown, livedMs: number): void {
    this.thread = undefined;
    this.port = undefined;
    if (this.isStopping) {
      this.closeLanes();
      return;
    }
    const delayMs = this.restartDelay.next(livedMs);
    const fields = { err, replaced_in_ms: delayMs };
    this.logger.error(fields, 'the capture thread died; captures under way are incomplete');
    this.restart = setTimeout(() => this.replaceThread(), delayMs);
  }

  private replaceThread(): void {
    this.startThread();
    for (const lane of this.lanes.values()) {
      if (lane.isGivenUp) continue;
      this.send({ type: 'lane', id: lane.id, memory: lane.memory });
      if (lane.isRetired) this.send({ type: 'retire', id: lane.id });
    }
    this.logger.info('the capture thread was replaced');
  }

  private openLane(lane: Lane): void {
    if (lane.isRetired) return;
    const pipes = lane.open(this.kernel);
    if (pipes === 0) {
      this.logger.warn('capture: no pipes to be had; what is spliced cannot be captured');
    }
    this.send({ type: 'lane', id: lane.id, memory: lane.memory });
  }

  private closeLanes(): void {
    for (const lane of this.lanes.values()) lane.close();
    this.lanes.clear();
  }

  private receive(message: FromRecorder): void {
    switch (message.type) {
      case 'log':
        this.logger[message.level](message.fields, message.text);
        return;
      case 'broken':
        this.lanes.get(message.id)?.giveUp();
        return;
      case 'retired':
        this.lanes.get(message.id)?.close();
        this.lanes.delete(message.id);
    }
  }

  private send(message: ToRecorder): void {
    // A successor is told everything anew.
    if (this.port === undefined) return;
    this.port.postMessage(message);
    this.bell.announce();
  }
}
