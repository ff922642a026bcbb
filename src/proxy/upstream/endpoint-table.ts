import { statusClasses } from '../status-class.js';
import { EndpointState, Health } from './endpoint-state.js';
import { processMs } from './process-clock.js';

/**
 * Every number about an endpoint that threads share, named once for all of them. An endpoint has a
 * slot; an upstream has one as well, for the flows that wait for any of its endpoints.
 *
 * ```
 *   header │ slot 0 │ slot 1 │ …  words, changed by Atomics │ worker 0: own slots │ worker 1 │ …  doubles
 * ```
 *
 * A worker's own doubles have one writer, so plain stores do. They are the totals, and that worker's
 * part of `Active` and `Waiting`: what has to be taken back when the worker dies.
 */

/** Endpoints and upstreams of one configuration, and those of earlier ones still in use. */
export const ENDPOINT_SLOTS = 4096;

/** Words of a slot, with those who write them. */
export const Word = {
  /** Control: the active check's verdict, {@link Health}. */
  Health: 0,
  /** Control: 1 while an operator drains the endpoint. */
  Draining: 1,
  /** Control: the weight in effect × 1000; below the configured one during slow start. */
  Weight: 2,
  /** Workers: connections of all workers, those being made included. */
  Active: 3,
  /** Workers: flows of all workers that wait; in an upstream's slot. */
  Waiting: 4,
  /** Workers: attempts that failed since the last that succeeded. */
  FailuresInRow: 5,
  /** Workers: error number of the last attempt that failed, 0 before. */
  LastErrno: 6,
  /** Workers, by compare-and-exchange; control to pardon: the tick at which an ejection ends, 0 before the first. */
  EjectedUntil: 7,
  /** The worker that ejects: ejections so far. */
  Ejections: 8,
  /** The worker that ejects: ejections without a long good time between them. */
  EjectionsInRow: 9,
} as const;
/** A cache line: workers busy with different endpoints do not slow each other down. */
const SLOT_WORDS = 16;

/** Doubles of a slot in one worker's own part; from `Responses` on there is one for each class of statuses. */
export const Own = { Active: 0, Waiting: 1, Connects: 2, Failures: 3, Responses: 4 } as const;
const OWN_DOUBLES = Own.Responses + statusClasses.length;

/** The only double of the header: when tick 0 was, in milliseconds of the process. */
const HEADER_BYTES = 64;
const WORD_BYTES = ENDPOINT_SLOTS * SLOT_WORDS * Int32Array.BYTES_PER_ELEMENT;
const WORKER_DOUBLES = ENDPOINT_SLOTS * OWN_DOUBLES;
const WORKER_BYTES = WORKER_DOUBLES * Float64Array.BYTES_PER_ELEMENT;

/** Times in the table have to fit into 31 bits: in ticks of 100 ms that is 6.8 years. */
export const TABLE_TICK_MS = 100;

/** A slot at one moment, for the admin endpoint and metrics. */
export interface SlotReading {
  readonly state: EndpointState;
  /** In effect, 1 being a configured weight of 1. */
  readonly weight: number;
  readonly active: number;
  readonly waiting: number;
  readonly connects: number;
  readonly failures: number;
  /** Requests it was sent, by position of their response's class in {@link statusClasses}. */
  readonly responses: readonly number[];
  readonly failuresInRow: number;
  readonly lastErrno: number;
  readonly ejections: number;
  /** Milliseconds the ejection has left, 0 when there is none. */
  readonly ejectedForMs: number;
}

/** The table as every thread may read it and the control thread may write it. */
export class EndpointTable {
  readonly workers: number;
  protected readonly words: Int32Array;
  private readonly workerDoubles: Float64Array;
  private readonly epochMs: number;

  /** @param memory made by {@link createMemory}, handed to each thread */
  constructor(readonly memory: SharedArrayBuffer) {
    this.workers = (memory.byteLength - HEADER_BYTES - WORD_BYTES) / WORKER_BYTES;
    this.epochMs = new Float64Array(memory, 0, 1)[0]!;
    this.words = new Int32Array(memory, HEADER_BYTES, ENDPOINT_SLOTS * SLOT_WORDS);
    this.workerDoubles = new Float64Array(memory, HEADER_BYTES + WORD_BYTES);
  }

  /** An empty table, made once by the control thread. @param workers ≥ 1 */
  static createMemory(workers: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(HEADER_BYTES + WORD_BYTES + workers * WORKER_BYTES);
    // A second early, so that no tick of a clock that lags behind a little is 0, which means never.
    new Float64Array(memory, 0, 1)[0] = processMs() - 1000;
    return memory;
  }

  /** @param nowMs milliseconds of the process, {@link processMs} */
  tickAt(nowMs: number): number {
    return Math.floor((nowMs - this.epochMs) / TABLE_TICK_MS);
  }

  /** @param tick now */
  state(slot: number, tick: number): EndpointState {
    if (this.load(slot, Word.Draining) !== 0) return EndpointState.draining;
    const health = this.load(slot, Word.Health);
    if (health === Health.down) return EndpointState.down;
    if (this.load(slot, Word.EjectedUntil) > tick) return EndpointState.ejected;
    return health === Health.up ? EndpointState.up : EndpointState.unchecked;
  }

  /** Whether traffic has ejected the endpoint, whatever the others say. @param tick now */
  isEjected(slot: number, tick: number): boolean {
    return this.load(slot, Word.EjectedUntil) > tick;
  }

  /** The weight in effect × 1000. */
  weight(slot: number): number {
    return this.load(slot, Word.Weight);
  }

  active(slot: number): number {
    return this.load(slot, Word.Active);
  }

  waiting(slot: number): number {
    return this.load(slot, Word.Waiting);
  }

  /** @param nowMs milliseconds of the process */
  read(slot: number, nowMs: number = processMs()): SlotReading {
    const tick = this.tickAt(nowMs);
    return {
      state: this.state(slot, tick),
      weight: this.weight(slot) / 1000,
      active: this.active(slot),
      waiting: this.waiting(slot),
      connects: this.sumOverWorkers(slot, Own.Connects),
      failures: this.sumOverWorkers(slot, Own.Failures),
      responses: statusClasses.map((_, index) => this.sumOverWorkers(slot, Own.Responses + index)),
      failuresInRow: this.load(slot, Word.FailuresInRow),
      lastErrno: this.load(slot, Word.LastErrno),
      ejections: this.load(slot, Word.Ejections),
      ejectedForMs: Math.max(0, this.load(slot, Word.EjectedUntil) - tick) * TABLE_TICK_MS,
    };
  }

  /** Control: the active check's verdict. */
  setHealth(slot: number, health: Health): void {
    this.store(slot, Word.Health, health);
  }

  /** Control: an operator's order. */
  setDraining(slot: number, isDraining: boolean): void {
    this.store(slot, Word.Draining, isDraining ? 1 : 0);
  }

  /** Control: slow start. @param weight × 1000; 0 gives the endpoint no new connections */
  setWeight(slot: number, weight: number): void {
    this.store(slot, Word.Weight, weight);
  }

  /** Control: ends an ejection before its time, because a check or an operator knows better. */
  pardon(slot: number): void {
    this.store(slot, Word.FailuresInRow, 0);
    this.store(slot, Word.EjectionsInRow, 0);
    this.store(slot, Word.EjectedUntil, 0);
  }

  /** Control: a slot for somebody new. No connection may be counted in it. */
  reset(slot: number): void {
    for (let word = 0; word < SLOT_WORDS; word++) this.store(slot, word, 0);
    for (let worker = 0; worker < this.workers; worker++) {
      this.ownPart(worker).fill(0, slot * OWN_DOUBLES, (slot + 1) * OWN_DOUBLES);
    }
  }

  /** Control: takes back the connections and waiting flows of a worker that died. */
  forgetWorker(worker: number): void {
    const own = this.ownPart(worker);
    for (let slot = 0; slot < ENDPOINT_SLOTS; slot++) {
      const first = slot * OWN_DOUBLES;
      this.add(slot, Word.Active, -own[first + Own.Active]!);
      this.add(slot, Word.Waiting, -own[first + Own.Waiting]!);
      own[first + Own.Active] = 0;
      own[first + Own.Waiting] = 0;
    }
  }

  protected ownPart(worker: number): Float64Array {
    return this.workerDoubles.subarray(worker * WORKER_DOUBLES, (worker + 1) * WORKER_DOUBLES);
  }

  protected ownIndex(slot: number, which: number): number {
    return slot * OWN_DOUBLES + which;
  }

  protected wordIndex(slot: number, word: number): number {
    return slot * SLOT_WORDS + word;
  }

  /**
   * A plain read, several for each endpoint and selection: an aligned word is never torn, and what
   * is decided by one is confirmed by the atomic operation that follows. `Atomics.load` made
   * selecting five times as slow.
   */
  protected load(slot: number, word: number): number {
    return this.words[slot * SLOT_WORDS + word]!;
  }

  protected store(slot: number, word: number, value: number): void {
    Atomics.store(this.words, slot * SLOT_WORDS + word, value);
  }

  /** @returns the value before */
  protected add(slot: number, word: number, amount: number): number {
    return Atomics.add(this.words, slot * SLOT_WORDS + word, amount);
  }

  private sumOverWorkers(slot: number, which: number): number {
    let sum = 0;
    for (let worker = 0; worker < this.workers; worker++) {
      sum += this.workerDoubles[worker * WORKER_DOUBLES + this.ownIndex(slot, which)]!;
    }
    return sum;
  }
}
