import { setTimeout as sleep } from 'node:timers/promises';
import { PumpSlot } from '#src/splice/index.js';
import { FaultPlan } from '../faults/fault-plan.js';
import { type Descriptors, descriptors } from '../machine/descriptors.js';
import { DataWorker } from './data-worker.js';
import { ExchangeOrigin, exchange, type Outcome, type Scenario } from './exchange.js';

const EXCHANGE_MS = 5000;
const SETTLE_MS = 2000;

/** One worker with a faulty libc, its origin, and the questions a test asks of both. */
export class FaultBench {
  private exchanges = 0;
  private turnsBefore = 0;
  private operationsBefore = 0;

  private constructor(
    readonly plan: FaultPlan,
    readonly worker: DataWorker,
    readonly origin: ExchangeOrigin,
    /** Where exchanges are mirrored to, if they are. */
    readonly shadow: ExchangeOrigin | undefined,
    /** Descriptors while nothing happens and no pipe is pooled. */
    private readonly quiet: Descriptors,
  ) {}

  /** @param sharesCalls reads and writes of a turn are made together */
  static async start(isMirrored = false, sharesCalls = false): Promise<FaultBench> {
    const origin = await ExchangeOrigin.start();
    const shadow = isMirrored ? await ExchangeOrigin.start() : undefined;
    const plan = new FaultPlan();
    const worker = new DataWorker({
      endpoints: [origin.address],
      ...(shadow && { shadows: [shadow.address] }),
      // Long enough for a busy machine, short enough for a test that runs into them.
      timeouts: { connectMs: 1000, headMs: 1000, tlsHandshakeMs: 1000, idleMs: 2500 },
      plan,
      sharesCalls,
    });
    await worker.ready;
    return new FaultBench(plan, worker, origin, shadow, descriptors());
  }

  /** Begins to count turns and operations. */
  begin(): void {
    this.turnsBefore = this.worker.count('loop_turns');
    this.operationsBefore = this.operations();
  }

  exchange(scenario: Scenario): Promise<Outcome> {
    return exchange(++this.exchanges, this.worker.address, scenario, EXCHANGE_MS);
  }

  /**
   * The origin's side of an exchange. There is none where no connection brought as much as its
   * number, and a late one may belong to an exchange of the past.
   */
  atOrigin({ id }: Outcome): Outcome | undefined {
    return this.origin.outcomes.find((outcome) => outcome.id === id);
  }

  /** Has the worker close its idle pipes: so it does where it is short of descriptors. */
  async emptyPool(): Promise<void> {
    if (this.worker.count('pipes_pooled') === 0) return;
    this.plan.follow([{ call: 'accept4', side: 'any', fault: 'EMFILE', nth: 1 }]);
    await this.exchange('small');
    this.plan.follow([]);
    await this.settle();
  }

  /** Waits until nothing is left of what was begun. @returns what is left all the same */
  async settle(): Promise<string[]> {
    const deadline = Date.now() + SETTLE_MS;
    for (;;) {
      const left = this.left();
      if (left.length === 0 || Date.now() > deadline) return left;
      await sleep(1);
    }
  }

  /**
   * What is wrong with the number of turns: a worker that spins makes many without moving anything.
   * @param flows how many there were
   */
  spin(flows = 1): string[] {
    const turns = this.worker.count('loop_turns') - this.turnsBefore;
    const operations = this.operations() - this.operationsBefore;
    // A turn moves bytes, meets a fault or has one of the few events of a flow's life; a flow that
    // waits for its timeouts adds some.
    const most = 4 * (operations + this.plan.injected) + 200 * flows;
    return turns > most ? [`${turns} turns for ${operations} operations`] : [];
  }

  /**
   * Lets what flows with faults have begun come to its end, with no more faults.
   * @param clients their side of all exchanges since {@link begin}
   * @returns what is wrong with the worker, or with either side of an exchange
   */
  async aftermath(clients: readonly Outcome[]): Promise<string[]> {
    const wrong = this.spin(clients.length);
    // Faults of the past must not keep a flow of the present from ending.
    this.plan.follow([]);
    wrong.push(...(await this.settle()));
    for (const client of clients) {
      wrong.push(...faultsOf('a client', client, false));
      wrong.push(...faultsOf('an origin', this.atOrigin(client), false));
    }
    return wrong;
  }

  async close(): Promise<void> {
    this.plan.follow([]);
    const how = await this.worker.stop();
    await this.origin.close();
    await this.shadow?.close();
    if (how !== 0) throw new Error(`the worker ended with ${how}`);
  }

  private operations(): number {
    const { up, down } = this.worker.counters;
    return [PumpSlot.CopyOperations, PumpSlot.SpliceOperations].reduce(
      (sum, slot) => sum + up[slot]! + down[slot]!,
      0,
    );
  }

  private left(): string[] {
    const left: string[] = [];
    for (const name of [
      'flows_active',
      'mirrors_active',
      'pipes_in_use',
      'buffers_in_use',
    ] as const) {
      const count = this.worker.count(name);
      if (count !== 0) left.push(`${name} ${count}`);
    }
    if (this.origin.open !== 0) left.push(`${this.origin.open} connections at the origin`);
    if (this.shadow !== undefined && this.shadow.open !== 0) {
      left.push(`${this.shadow.open} connections at the shadow`);
    }
    const open = descriptors();
    const pooled = 2 * this.worker.count('pipes_pooled');
    const expected: Descriptors = { ...this.quiet, pipe: (this.quiet.pipe ?? 0) + pooled };
    for (const kind of new Set([...Object.keys(open), ...Object.keys(expected)])) {
      const surplus = (open[kind] ?? 0) - (expected[kind] ?? 0);
      if (surplus !== 0) left.push(`${surplus} descriptors of kind ${kind}`);
    }
    return left;
  }
}

/** What is wrong with one side of an exchange: silence, a wrong byte, or an end that hides a loss. */
export function faultsOf(
  side: string,
  outcome: Outcome | undefined,
  mustBeWhole: boolean,
): string[] {
  if (outcome === undefined) return mustBeWhole ? [`${side} heard nothing`] : [];
  const { how, receivedBytes, isWhole, isPrefix } = outcome;
  const wrong: string[] = [];
  if (how === 'timeout') wrong.push(`${side} hung after ${receivedBytes} bytes`);
  if (!isPrefix) wrong.push(`${side} got wrong bytes`);
  if (how === 'end' && !isWhole) {
    wrong.push(`${side} was told of an end after ${receivedBytes} bytes`);
  }
  if (mustBeWhole && !isWhole) wrong.push(`${side} got ${receivedBytes} bytes and ${how}`);
  return wrong;
}
