// An upstream without sockets: a table of its own, workers that are objects, and a clock moved by hand.
import { pino } from 'pino';
import type { Task } from '#src/proxy/event-loop.js';
import type { UpstreamSnapshot } from '#src/proxy/index.js';
import { upstreamDefaults } from '#src/proxy/snapshot.js';
import { TimerWheel } from '#src/proxy/timer-wheel.js';
import type { Endpoint } from '#src/proxy/upstream/endpoint.js';
import {
  EndpointLedger,
  EndpointSlots,
  EndpointTable,
  processMs,
  Selection,
  Upstream,
} from '#src/proxy/upstream/index.js';
import type { Scheduler } from '#src/proxy/upstream/queue.js';

/** What the event loop does for an upstream, one turn at a time. */
export class TestClock implements Scheduler {
  nowMs = performance.now();
  readonly wheel = new TimerWheel(this.nowMs);
  private tasks: Task[] = [];

  defer(task: Task): void {
    this.tasks.push(task);
  }

  /** Runs what was put off. */
  turn(): void {
    const tasks = this.tasks;
    this.tasks = [];
    for (const task of tasks) task.runTask();
  }

  /** Lets time pass, turn by turn. */
  pass(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.nowMs < endMs) {
      this.nowMs = Math.min(this.nowMs + 10, endMs);
      this.turn();
      this.wheel.advance(this.nowMs);
    }
  }
}

export interface EndpointSettings {
  readonly weight?: number;
  readonly backup?: boolean;
}

export interface RigSettings extends Partial<Omit<UpstreamSnapshot, 'endpoints' | 'limits'>> {
  readonly workers?: number;
  readonly connectionsPerEndpoint?: number;
}

export class UpstreamRig {
  readonly clock = new TestClock();
  readonly table: EndpointTable;
  readonly ledgers: readonly EndpointLedger[];
  /** The same upstream as each worker sees it. */
  readonly upstreams: readonly Upstream[];
  readonly snapshot: UpstreamSnapshot;
  readonly logs: Record<string, unknown>[] = [];

  constructor(endpoints: readonly EndpointSettings[], settings: RigSettings = {}) {
    const { workers = 1, connectionsPerEndpoint, ...rest } = settings;
    const memory = EndpointTable.createMemory(workers);
    this.table = new EndpointTable(memory);
    const all = endpoints.map(({ weight = 1, backup = false }, index) => ({
      address: { family: 'inet', host: '127.0.0.1', port: 7000 + index } as const,
      weight,
      backup,
    }));
    const request = all.map(({ address, weight }) => ({ address: String(address.port), weight }));
    const [assigned] = new EndpointSlots(this.table).assign([
      { upstream: 'test', endpoints: request },
    ]);
    this.snapshot = {
      ...upstreamDefaults,
      name: 'test',
      ...rest,
      limits: { connectionsPerEndpoint: connectionsPerEndpoint ?? Number.POSITIVE_INFINITY },
      slot: assigned!.slot,
      endpoints: all.map((one, index) => ({ ...one, slot: assigned!.endpoints[index]! })),
    };
    const log = pino({}, { write: (line: string) => this.logs.push(JSON.parse(line)) });
    this.ledgers = Array.from(
      { length: workers },
      (_, worker) => new EndpointLedger(memory, worker),
    );
    this.upstreams = this.ledgers.map(
      (ledger) => new Upstream(this.snapshot, { clock: this.clock, log, ledger }),
    );
  }

  /** The first worker's view. */
  get upstream(): Upstream {
    return this.upstreams[0]!;
  }

  slot(index: number): number {
    return this.snapshot.endpoints[index]!.slot;
  }

  /** Position of a selected endpoint, or what there was instead. */
  select(key = 0, tried: readonly Endpoint[] = [], worker = 0): number | 'None' | 'Full' {
    const selection = this.upstreams[worker]!.select(key, tried);
    if (selection === Selection.None) return 'None';
    if (selection === Selection.Full) return 'Full';
    return this.upstreams[worker]!.endpoints.indexOf(selection);
  }

  /** Selects so often and gives each place back at once. @returns how often each was chosen */
  tally(rounds: number): number[] {
    const counts = this.upstream.endpoints.map(() => 0);
    for (let round = 0; round < rounds; round++) {
      const selection = this.upstream.select(round, []);
      if (typeof selection === 'number') throw new Error(`no endpoint: ${selection}`);
      counts[this.upstream.endpoints.indexOf(selection)]!++;
      selection.ended();
    }
    return counts;
  }

  /** Lets connections to an endpoint fail. */
  fail(index: number, times: number, worker = 0): void {
    const endpoint = this.upstreams[worker]!.endpoints[index]!;
    for (let time = 0; time < times; time++) endpoint.failed(111);
  }

  isEjected(index: number): boolean {
    return this.ejectedForMs(index) > 0;
  }

  ejectedForMs(index: number): number {
    return this.reading(index).ejectedForMs;
  }

  /** The table's answer at the rig's time. */
  reading(index: number) {
    return this.table.read(this.slot(index), processMs(this.clock.nowMs));
  }
}
