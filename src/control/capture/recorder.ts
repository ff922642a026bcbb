import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type IncompleteReason, incompleteReasons, RecorderBell } from '../../proxy/index.js';
import { type Libc, loadLibc } from '../../splice/index.js';
import { processName } from './capture-files.js';
import { CaptureStore, type StoreSettings } from './capture-store.js';
import { DiskWriter } from './disk-writer.js';
import type { FlowWriter } from './flow-writer.js';
import { LaneRecording, type RecordingRoom } from './lane-recording.js';
import { type RecorderCounters, RecorderSlot } from './recorder-counters.js';
import type { FromRecorder, RecorderStart, ToRecorder } from './recorder-messages.js';

/** After the last entry it looks this long every few milliseconds, then it sleeps. */
const CALM_AFTER_MS = 200;
const NAP_MS = 3;
/** Lines of records are at most so old when the process is killed. */
const TICK_MS = 1000;
/** Others may write to a directory, too. */
const SCAN_MS = 60_000;
/** Entries of one lane in a row. */
const TURN_ENTRIES = 4096;
/** What goes wrong again and again is said once in this time. */
const COMPLAINT_MS = 60_000;

/**
 * The capture thread: takes what workers have put into their lanes and writes it to files. It is the only one
 * that waits for a disk.
 *
 * ```
 *   taking ──nothing left──▶ napping ──nothing for a while──▶ sleeping
 *      ▲ ◀─── 3 ms, or much ────┘ ◀──────── an entry ──────────────┘
 *      └── stop: takes what is left, and ends
 * ```
 */
export class Recorder implements RecordingRoom {
  readonly writer: DiskWriter;
  readonly process = processName() ?? '';
  private readonly port: MessagePort;
  private readonly bell: RecorderBell;
  private readonly counters: RecorderCounters;
  private readonly stores = new Map<number, CaptureStore>();
  private readonly lanes = new Map<number, LaneRecording>();
  /** Flows whose records have no end yet. */
  private readonly live = new Set<string>();
  /** Those that have ended, and whose records the disk had no room to say so in. */
  private unended: FlowWriter[] = [];
  private readonly complaints = new Map<string, number>();
  private messagesHeard = 0;
  private isStopping = false;
  private lastTickMs = performance.now();
  private lastScanMs = performance.now();

  /** @param library a test's own injects faults */
  constructor(start: RecorderStart, library: Libc = loadLibc()) {
    this.port = start.port;
    this.bell = new RecorderBell(start.bell);
    this.counters = new Float64Array(start.counters);
    this.writer = new DiskWriter(library);
    this.messagesHeard = start.messagesBefore;
  }

  /** Returns when it was told to stop, and everything has been taken. */
  run(): void {
    let lastEntryMs = performance.now();
    const isCalm = (): boolean => this.isCalm();
    for (;;) {
      this.obey();
      const hasTaken = this.takeAll();
      const nowMs = performance.now();
      if (nowMs - this.lastTickMs >= TICK_MS) this.tick(nowMs);
      if (hasTaken) lastEntryMs = nowMs;
      else if (this.isStopping) break;
      else if (nowMs - lastEntryMs < CALM_AFTER_MS) this.bell.nap(NAP_MS, isCalm);
      else this.bell.sleep(TICK_MS, isCalm);
    }
    for (const lane of this.lanes.values()) lane.abandon('interrupted');
    this.tick(performance.now());
    this.writer.files.closeAll();
  }

  store(number: number): CaptureStore | undefined {
    const store = this.stores.get(number);
    return store !== undefined && this.opened(store) ? store : undefined;
  }

  begun(flow: FlowWriter): void {
    this.live.add(flow.id);
  }

  ended(flow: FlowWriter, reason: IncompleteReason, hasEnd: boolean): void {
    if (reason === 'none') this.counters[RecorderSlot.Complete]!++;
    else this.missed(reason);
    if (hasEnd) this.live.delete(flow.id);
    else this.unended.push(flow);
  }

  missed(reason: IncompleteReason): void {
    this.counters[RecorderSlot.Incomplete + incompleteReasons.indexOf(reason)]!++;
  }

  complain(subject: string, reason: IncompleteReason, detail?: string): void {
    const key = `${reason} ${subject}`;
    const nowMs = performance.now();
    if (nowMs - (this.complaints.get(key) ?? Number.NEGATIVE_INFINITY) < COMPLAINT_MS) return;
    this.complaints.set(key, nowMs);
    const text = 'capture: flows are not captured whole';
    this.send({ type: 'log', level: 'warn', fields: { subject, reason, detail }, text });
  }

  private obey(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.port) as { message: ToRecorder } | undefined;
      if (received === undefined) return;
      this.messagesHeard = (this.messagesHeard + 1) | 0;
      this.carryOut(received.message);
    }
  }

  private carryOut(message: ToRecorder): void {
    switch (message.type) {
      case 'stores':
        for (const settings of message.stores) this.configure(settings);
        return;
      case 'lane':
        this.lanes.set(message.id, new LaneRecording(message.id, message.memory, this));
        return;
      case 'retire': {
        const lane = this.lanes.get(message.id);
        if (lane === undefined) this.send({ type: 'retired', id: message.id });
        else lane.isRetired = true;
        return;
      }
      case 'stop':
        this.isStopping = true;
    }
  }

  private configure({ store: number, directory, limits }: StoreSettings): void {
    const known = this.stores.get(number);
    if (known === undefined) {
      const store = new CaptureStore(directory, limits, this.writer);
      this.stores.set(number, store);
      this.opened(store);
    } else {
      known.limits = limits;
      known.tidy();
    }
  }

  /** @returns false when its directory cannot be used; the next flow tries again */
  private opened(store: CaptureStore): boolean {
    if (store.isOpen) return true;
    try {
      store.open((id) => this.live.has(id));
      store.tidy();
      return true;
    } catch (error) {
      this.complain(store.directory, 'directory', (error as Error).message);
      return false;
    }
  }

  private takeAll(): boolean {
    let hasTaken = false;
    for (const lane of this.lanes.values()) {
      if (lane.take(TURN_ENTRIES) > 0) hasTaken = true;
      if (lane.reader.isBroken) this.giveUp(lane);
      else if (lane.isRetired && lane.reader.isEmpty) this.finish(lane, 'worker_died');
    }
    return hasTaken;
  }

  /** The pipes are out of step: a bug, after which nothing that comes this way can be told apart. */
  private giveUp(lane: LaneRecording): void {
    this.send({
      type: 'log',
      level: 'error',
      fields: { lane: lane.id },
      text: 'capture: a worker and the capture thread disagree; what this worker captures is given up',
    });
    this.send({ type: 'broken', id: lane.id });
    this.finish(lane, 'disk_error');
  }

  private finish(lane: LaneRecording, reason: IncompleteReason): void {
    lane.abandon(reason);
    this.lanes.delete(lane.id);
    if (lane.isRetired) this.send({ type: 'retired', id: lane.id });
  }

  /** Once a second, and at the end. */
  private tick(nowMs: number): void {
    this.lastTickMs = nowMs;
    for (const lane of this.lanes.values()) lane.flush();
    this.unended = this.unended.filter((flow) => {
      const hasEnd = flow.retryEnd();
      if (hasEnd) this.live.delete(flow.id);
      return !hasEnd;
    });
    const isScanDue = nowMs - this.lastScanMs >= SCAN_MS;
    if (isScanDue) this.lastScanMs = nowMs;
    for (const store of this.stores.values()) this.tidy(store, isScanDue);
    this.updateCounters();
  }

  private tidy(store: CaptureStore, isScanDue: boolean): void {
    if (!store.isOpen) return;
    try {
      if (isScanDue) store.scan((id) => this.live.has(id));
      store.tidy();
    } catch (error) {
      this.complain(store.directory, 'directory', (error as Error).message);
    }
  }

  private updateCounters(): void {
    const { counters, writer } = this;
    const { DiskBytes, Deleted, StoredBytes, StoredFlows, Incomplete } = RecorderSlot;
    const interrupted = Incomplete + incompleteReasons.indexOf('interrupted');
    counters[DiskBytes]! += writer.written;
    writer.written = 0;
    counters[StoredBytes] = 0;
    counters[StoredFlows] = 0;
    for (const store of this.stores.values()) {
      counters[StoredBytes] += store.totalBytes;
      counters[StoredFlows] += store.size;
      counters[Deleted]! += store.deleted;
      store.deleted = 0;
      counters[interrupted]! += store.interrupted;
      store.interrupted = 0;
    }
  }

  /** Nothing has come since it was looked for last. */
  private isCalm(): boolean {
    for (const { reader } of this.lanes.values()) if (!reader.isEmpty) return false;
    return this.bell.messages === this.messagesHeard;
  }

  private send(message: FromRecorder): void {
    this.port.postMessage(message);
  }
}
