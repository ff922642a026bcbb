// A proxy in the test's own process that captures, in front of an echo, and a capture thread that takes orders
// (obedient-recorder.ts).
import { openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { type Config, loadConfig } from '#src/config/index.js';
import { capturePath, chunksOf, listCaptures, type StoredCapture } from '#src/control/index.js';
import { LogSink } from '#src/control/logging/log-sink.js';
import { Supervisor } from '#src/control/supervisor.js';
import { ByteStream } from '../bytes.js';
import { nothingMore } from '../control/slot-rig.js';
import { until, within } from '../deadline.js';
import { descriptors } from '../machine/descriptors.js';
import { echo, Origin } from '../peers/origin.js';
import { Peer } from '../peers/peer.js';
import { temporaryDirectory } from '../programs/rig.js';

const obedientRecorder = new URL('./obedient-recorder.js', import.meta.url);
const crashingWorker = new URL('../faults/crashing-worker.js', import.meta.url);

export interface CaptureRigOptions {
  /** Keys of `capture` besides its directory, in flow style. */
  readonly capture?: string;
  readonly workers?: number;
  /** Another directory than a new one. */
  readonly directory?: string;
  /** Module the workers run; one that dies when it is told to unless said. */
  readonly workerEntry?: URL;
}

export class CaptureRig {
  private constructor(
    readonly supervisor: Supervisor,
    readonly directory: string,
    private readonly origin: Origin,
    private readonly orders: string,
    private readonly before: ReturnType<typeof descriptors>,
    private readonly logFile: string,
    private readonly options: CaptureRigOptions,
  ) {}

  static async start(t: Test, options: CaptureRigOptions = {}): Promise<CaptureRig> {
    const home = temporaryDirectory(t);
    const { directory = `${home}/captures` } = options;
    const orders = `${home}/orders`;
    process.env.HEADGATE_TEST_RECORDER = orders;
    const origin = await Origin.listen('127.0.0.1:0', echo);
    t.teardown(() => origin.close());
    const before = descriptors();
    const config = configOf(origin, directory, options);
    const logFile = `${home}/log`;
    const sink = new LogSink(config.log, openSync(logFile, 'w'));
    const supervisor = await Supervisor.start(config, {
      sink,
      recorderEntry: obedientRecorder,
      workerEntry: options.workerEntry ?? crashingWorker,
    });
    t.teardown(() => supervisor.close().catch(() => {}));
    return new CaptureRig(supervisor, directory, origin, orders, before, logFile, options);
  }

  /** The configuration, with other keys of `capture`; null for none. */
  config(capture: string | null): Config {
    const options = { ...this.options, capture: capture ?? '' };
    return configOf(this.origin, this.directory, options, capture !== null);
  }

  connect(): Promise<Peer> {
    return Peer.connect(this.supervisor.addresses[0]!.address);
  }

  /** One flow, closed in order: a stream there and back. @returns how long that took, ms */
  async flow(seed: number, length: number): Promise<number> {
    const startMs = performance.now();
    const peer = await this.connect();
    const stream = new ByteStream(seed);
    const moves = [peer.sendStream(stream, length), peer.receiveStream(stream, length)];
    await within(20_000, 'a stream there and back', Promise.all(moves));
    peer.end();
    await within(10_000, 'the end', peer.receiveEnd());
    return performance.now() - startMs;
  }

  order(text: string | undefined): void {
    if (text === undefined) rmSync(this.orders, { force: true });
    else writeFileSync(this.orders, text);
  }

  /** It was obeyed, and is gone. */
  get isObeyed(): boolean {
    return statSync(this.orders, { throwIfNoEntry: false }) === undefined;
  }

  /** The captures there are, once `count` of them have ended. */
  async ended(count: number): Promise<StoredCapture[]> {
    const found = () => {
      const all = this.stored();
      return all.filter(({ end }) => end !== undefined).length >= count ? all : undefined;
    };
    return until(15_000, `${count} captures`, found, () => JSON.stringify(this.stored()));
  }

  /** Those there are now. */
  stored(): StoredCapture[] {
    return list(this.directory);
  }

  get statistics() {
    return this.supervisor.statistics().captures;
  }

  logs(): { msg: string; level: number; [field: string]: unknown }[] {
    const lines = readFileSync(this.logFile, 'utf8').split('\n');
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  }

  /** Ends everything and asserts that no descriptor is left. */
  async finish(): Promise<void> {
    await within(15_000, 'the proxy ends', this.supervisor.close());
    await until(10_000, 'the origin is alone', () => this.origin.open.size === 0);
    await nothingMore(this.before);
  }
}

/** Asserts that a direction of a capture has the stream's beginning. @returns how many bytes */
export function verifyCapture(
  { directory, head }: StoredCapture,
  direction: 'client' | 'upstream',
  stream: ByteStream,
): number {
  const path = capturePath(directory, head.id, direction);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return 0;
  const bytes = readFileSync(path);
  stream.verify(bytes, 0);
  return bytes.length;
}

/** Bytes of the chunks, by direction; they must not go back in time. */
export function chunkBytes(capture: StoredCapture): { client: number; upstream: number } {
  const sums = { client: 0, upstream: 0 };
  let lastUs = 0;
  for (const { direction, timeUs, bytes } of chunksOf(capture)) {
    if (timeUs < lastUs) throw new Error(`a chunk of ${timeUs} µs after one of ${lastUs}`);
    lastUs = timeUs;
    sums[direction] += bytes;
  }
  return sums;
}

function list(directory: string): StoredCapture[] {
  return statSync(directory, { throwIfNoEntry: false }) === undefined
    ? []
    : listCaptures(directory);
}

function configOf(
  origin: Origin,
  directory: string,
  { capture = '', workers = 1 }: CaptureRigOptions,
  isOn = true,
): Config {
  const keys = isOn ? `capture: { directory: ${JSON.stringify(directory)}, ${capture} }` : '';
  const loaded = loadConfig(`
    workers: ${workers}
    log: { access: true, format: json }
    listeners:
      a: { bind: "127.0.0.1:0", tcp: { upstream: u, ${keys} } }
    upstreams: { u: { endpoints: ["${origin.address}"] } }
  `);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}
