// What most tests stand on: an origin, headgate in front of it, and clients.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Test } from 'tap';
import { within } from '../deadline.js';
import type { OpenFiles } from '../machine/proc.js';
import { type Handler, Origin } from '../peers/origin.js';
import { Peer } from '../peers/peer.js';
import { type Headgate, type HeadgateOptions, startHeadgate } from './headgate.js';
import { expectNoLeak } from './leak.js';

export interface RigOptions extends HeadgateOptions {
  /** LISTEN; 127.0.0.1:0 unless said. */
  readonly listen?: string;
  /** Where the origin listens; 127.0.0.1:0 unless said. */
  readonly originAddress?: string;
  /** Serves the origin's connections; without it, `pair` and `origin.accept` do. */
  readonly handler?: Handler;
  /** Options after LISTEN and UPSTREAM; `--workers 1 --access-log` are there already. */
  readonly args?: readonly string[];
  readonly workers?: number;
}

/** Both ends of a flow: they are what it joins. */
export interface Pair {
  readonly client: Peer;
  readonly upstream: Peer;
}

export class Rig {
  readonly origin: Origin;
  readonly headgate: Headgate;
  readonly #filesBefore: OpenFiles;
  readonly #workers: number;
  readonly #clients: Peer[] = [];

  private constructor(origin: Origin, headgate: Headgate, workers: number) {
    this.origin = origin;
    this.headgate = headgate;
    this.#workers = workers;
    this.#filesBefore = headgate.openFiles();
  }

  /** Starts origin and proxy; the teardown of `t` ends both whatever happens. */
  static async start(t: Test, options: RigOptions = {}): Promise<Rig> {
    const workers = options.workers ?? 1;
    const origin = await Origin.listen(options.originAddress, options.handler);
    t.teardown(() => origin.close());
    const words = ['tcp', options.listen ?? '127.0.0.1:0', origin.address];
    const args = [...words, '--workers', String(workers), '--access-log', ...(options.args ?? [])];
    const headgate = await startHeadgate(args, options);
    t.teardown(() => headgate.kill());
    const rig = new Rig(origin, headgate, workers);
    t.teardown(() => {
      for (const client of rig.#clients) client.close();
    });
    return rig;
  }

  /** A client connected to the proxy. */
  async connect(): Promise<Peer> {
    const connection = Peer.connect(this.headgate.address);
    const client = await within(5_000, 'a client connects', connection, this.headgate.context);
    this.#clients.push(client);
    return client;
  }

  /** Both ends of one new flow; needs an origin without handler, and one call at a time. */
  async pair(): Promise<Pair> {
    const client = await this.connect();
    const upstream = await this.origin.accept(this.headgate.context);
    return { client, upstream };
  }

  /** `promise`, or a failure after `timeoutMs` that shows what headgate wrote. */
  within<T>(timeoutMs: number, what: string, promise: Promise<T>): Promise<T> {
    return within(timeoutMs, what, promise, this.headgate.context);
  }

  /** Asserts that all flows have gone without a trace. */
  async expectNoLeak(): Promise<void> {
    const handlerFailure = this.origin.failures[0];
    if (handlerFailure !== undefined) throw handlerFailure;
    await expectNoLeak(this.headgate, this.#filesBefore, { workers: this.#workers });
  }

  /** Ends a test: no leak, and a clean exit after SIGTERM. */
  async finish(t: Test): Promise<void> {
    await this.expectNoLeak();
    await expectCleanExit(t, this.headgate);
  }
}

/** Sends SIGTERM and asserts that `headgate`, without flows, exits with 0; shows what it wrote when it does not. */
export async function expectCleanExit(t: Test, headgate: Headgate): Promise<void> {
  const { code, signal } = await headgate.stop();
  const said = code === 0 ? '' : `: ${headgate.context()}`;
  t.strictSame({ code, signal }, { code: 0, signal: null }, `exits 0 after SIGTERM${said}`);
}

/** A new directory for sockets and data, gone after `t`. */
export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(`${tmpdir()}/headgate-test-`);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
