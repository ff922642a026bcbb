// A proxy of two workers in the test's own process, in front of an echo. Its workers die when they are told to
// (crashing-worker.ts), and its clients know whose they are.
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Config, loadConfig } from '#src/config/index.js';
import { LogSink } from '#src/control/logging/log-sink.js';
import { Metrics } from '#src/control/metrics/index.js';
import { Supervisor } from '#src/control/supervisor.js';
import { until, within } from '../deadline.js';
import { type Death, DIES_AT_START, lastWords } from '../faults/last-words.js';
import { type Descriptors, descriptors } from '../machine/descriptors.js';
import { echo, Origin } from '../peers/origin.js';
import { Peer } from '../peers/peer.js';
import { parseExposition } from './exposition.js';

const crashingWorker = new URL('../faults/crashing-worker.js', import.meta.url);

export class SlotRig {
  readonly #peers: Peer[] = [];

  private constructor(
    readonly supervisor: Supervisor,
    private readonly origin: Origin,
    private readonly before: Descriptors,
    private readonly logFile: string,
  ) {}

  /** @param more keys of the listener, and of the whole, in flow style */
  static async start(t: Test, more: { listener?: string; top?: string } = {}): Promise<SlotRig> {
    const origin = await Origin.listen('127.0.0.1:0', echo);
    const before = descriptors();
    const directory = mkdtempSync(join(tmpdir(), 'worker-slot-'));
    t.teardown(() => rmSync(directory, { recursive: true }));
    t.teardown(() => delete process.env[DIES_AT_START]);
    const logFile = join(directory, 'log');
    const config = configOf(origin, `${more.top ?? ''}`, more.listener ?? '');
    const sink = new LogSink(config.log, openSync(logFile, 'w'));
    try {
      const supervisor = await Supervisor.start(config, { sink, workerEntry: crashingWorker });
      // Should the test fail on the way.
      t.teardown(() => supervisor.close().catch(() => {}));
      t.teardown(() => origin.close());
      return new SlotRig(supervisor, origin, before, logFile);
    } catch (error) {
      origin.close();
      throw error;
    }
  }

  /** Another configuration, with one more listener, `b`. */
  configWithSecond(bind = '127.0.0.1:0'): Config {
    return configOf(this.origin, '', '', `b: { bind: "${bind}", tcp: { upstream: u } }`);
  }

  /** The one it was started with. */
  configWithoutSecond(): Config {
    return configOf(this.origin, '', '');
  }

  addressOf(listener = 'a'): string {
    return this.supervisor.addresses.find((one) => one.listener === listener)!.address;
  }

  async connect(listener?: string): Promise<Peer> {
    const peer = await Peer.connect(this.addressOf(listener));
    this.#peers.push(peer);
    return peer;
  }

  /** A connection over which bytes have gone both ways. */
  async connectServed(listener?: string): Promise<Peer> {
    const peer = await this.connect(listener);
    await answers(peer);
    return peer;
  }

  /** `count` connections at least on each worker. */
  async connectToBoth(count: number): Promise<[Peer[], Peer[]]> {
    const found: [Peer[], Peer[]] = [[], []];
    for (let tries = 0; found.some((peers) => peers.length < count); tries++) {
      if (tries === 200) throw new Error('one worker gets everything');
      const peer = await this.connectServed();
      found[await this.workerOf(peer)]!.push(peer);
    }
    return found;
  }

  async workerOf(peer: Peer): Promise<0 | 1> {
    const id = await this.flowOf(peer);
    return Number(id.split('-')[0]) as 0 | 1;
  }

  async flowOf({ socket }: Peer): Promise<string> {
    const query = { limit: 10_000, client: `127.0.0.1:${socket.localPort}` };
    const { flows } = await this.supervisor.flows({ sort: 'age', ...query });
    return flows[0]!.id;
  }

  /** Has the worker of that connection die. */
  async kill(peer: Peer, death: Death = 'exception'): Promise<void> {
    const { deaths } = this;
    await peer.send(lastWords[death]);
    await until(10_000, 'a worker dies', () => this.deaths > deaths);
  }

  get deaths(): number {
    return this.supervisor.statistics().workers.deaths;
  }

  async allRun(): Promise<void> {
    await until(15_000, 'all workers run', () => this.supervisor.isReady);
  }

  logs(): { msg: string; level: number; [field: string]: unknown }[] {
    const lines = readFileSync(this.logFile, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  }

  /** All counters of Headgate's own, by name and labels. */
  async counters(): Promise<Map<string, number>> {
    const page = await new Metrics(() => this.supervisor.statistics()).expose();
    const values = new Map<string, number>();
    for (const { name, type, samples } of parseExposition(page).values()) {
      if (type === 'gauge' || !name.startsWith('headgate_')) continue;
      for (const { name, labels, value } of samples) {
        values.set(`${name}${JSON.stringify(labels)}`, value);
      }
    }
    return values;
  }

  /** Ends everything and asserts that nothing is left. */
  async finish(t: Test, end: () => Promise<void> = () => this.supervisor.close()): Promise<void> {
    await end();
    for (const peer of this.#peers) peer.close();
    await until(10_000, 'the origin is alone', () => this.origin.open.size === 0);
    await nothingMore(this.before);
    this.origin.close();
    t.equal(this.supervisor.statistics().totals.flows_active, 0);
    for (const { endpoints, waiting } of this.supervisor.statistics().upstreams) {
      t.equal(waiting, 0);
      for (const { active } of endpoints) t.equal(active, 0, 'no place at an endpoint is kept');
    }
  }
}

/** Waits until this process has the descriptors it had before. */
export async function nothingMore(before: Descriptors): Promise<void> {
  await until(
    10_000,
    `descriptors return to ${JSON.stringify(before)}`,
    () => JSON.stringify(sorted(descriptors())) === JSON.stringify(sorted(before)),
    () => JSON.stringify(descriptors()),
  );
}

export async function answers(peer: Peer): Promise<void> {
  await peer.send('are you there?');
  await within(10_000, 'an answer', peer.receive(14));
}

function sorted(counts: Descriptors): [string, number][] {
  return Object.entries(counts).sort(([one], [other]) => (one < other ? -1 : 1));
}

function configOf(origin: Origin, top: string, listener: string, second = ''): Config {
  const loaded = loadConfig(`
    workers: 2
    log: { access: true, format: json }
    ${top}
    listeners:
      a: { bind: "127.0.0.1:0", tcp: { upstream: u }, ${listener} }
      ${second}
    upstreams: { u: { endpoints: ["${origin.address}"] } }
  `);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}
