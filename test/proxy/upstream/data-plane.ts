// Real workers in this process, without the control thread's configuration: upstreams are what a test says they are.
import { once } from 'node:events';
import net from 'node:net';
import type { Test } from 'tap';
import type { LogSink } from '#src/control/logging/log-sink.js';
import { DataThread } from '#src/control/workers/data-thread.js';
import {
  type CloseReason,
  ConnectionLimit,
  Counter,
  type CounterName,
  closeReasons,
  EndpointSlots,
  EndpointTable,
  type SlotReading,
  type UpstreamSnapshot,
  upstreamDefaults,
  type WorkerSnapshot,
} from '#src/proxy/index.js';
import { createKernel, localAddress, openListener, Sockaddr } from '#src/splice/index.js';
import { until, within } from '../../support/deadline.js';
import { descriptors } from '../../support/machine/descriptors.js';
import { Peer } from '../../support/peers/peer.js';
import type { LogLine } from '../../support/programs/headgate.js';

export interface EndpointAt {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly weight?: number;
  readonly backup?: boolean;
}

export interface DataPlaneSettings extends Partial<Omit<UpstreamSnapshot, 'endpoints' | 'limits'>> {
  readonly workers?: number;
  readonly connectionsPerEndpoint?: number;
  readonly connectMs?: number;
}

export class DataPlane {
  readonly table: EndpointTable;
  readonly logs: LogLine[] = [];
  private readonly snapshot: UpstreamSnapshot;
  private readonly threads: DataThread[] = [];
  private readonly clients: Peer[] = [];
  private readonly before = descriptors();
  private port = 0;

  private constructor(endpoints: readonly EndpointAt[], settings: DataPlaneSettings) {
    const { workers = 2, connectionsPerEndpoint, connectMs: _, ...rest } = settings;
    this.table = new EndpointTable(EndpointTable.createMemory(workers));
    const [assigned] = new EndpointSlots(this.table).assign([
      {
        upstream: 'test',
        endpoints: endpoints.map(({ address, weight = 1 }) => ({ address, weight })),
      },
    ]);
    this.snapshot = {
      ...upstreamDefaults,
      name: 'test',
      ...rest,
      limits: { connectionsPerEndpoint: connectionsPerEndpoint ?? Number.POSITIVE_INFINITY },
      slot: assigned!.slot,
      endpoints: endpoints.map(({ address, weight = 1, backup = false }, index) => {
        const [host, port] = address.split(':');
        return {
          address: { family: 'inet', host: host!, port: Number(port) },
          weight,
          backup,
          slot: assigned!.endpoints[index]!,
        };
      }),
    };
  }

  static async start(
    t: Test,
    endpoints: readonly EndpointAt[],
    settings: DataPlaneSettings = {},
  ): Promise<DataPlane> {
    const plane = new DataPlane(endpoints, settings);
    t.teardown(() => plane.stop());
    await plane.startThreads(settings);
    return plane;
  }

  /** @param localAddress where the client is: anything in 127.0.0.0/8 */
  async connect(localAddress = '127.0.0.1'): Promise<Peer> {
    const where = { host: '127.0.0.1', port: this.port, localAddress };
    const socket = net.connect({ ...where, allowHalfOpen: true, noDelay: true });
    const client = new Peer(socket);
    this.clients.push(client);
    await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => {
      // Refused so quickly that Node never saw it connected.
      if (error.code !== 'ECONNRESET') throw error;
    });
    return client;
  }

  /** Sends a word there and back. @throws when there is no echo */
  async exchange(client: Peer): Promise<void> {
    await client.send('ping');
    await within(5_000, 'the echo', client.receive(4), this.context);
  }

  slot(index: number): number {
    return this.snapshot.endpoints[index]!.slot;
  }

  reading(index: number): SlotReading {
    return this.table.read(this.slot(index));
  }

  get waiting(): number {
    return this.table.waiting(this.snapshot.slot);
  }

  /** A number of all workers together. */
  total(name: CounterName): number {
    return this.sum(({ counters }) => counters.values[Counter[name]]!);
  }

  closed(reason: CloseReason): number {
    return this.sum(({ counters }) => counters.closedOf(0, closeReasons.indexOf(reason)));
  }

  /** Waits until exactly so many flows have ended for a reason: clients know before the counters do. */
  async hasClosed(reason: CloseReason, count: number): Promise<void> {
    await until(2_000, `${count} × ${reason}`, () => this.closed(reason) >= count, this.context);
    if (this.closed(reason) > count) throw new Error(`${this.closed(reason)} × ${reason}`);
  }

  /** Flows each worker has accepted. */
  get accepted(): number[] {
    return this.threads.map(({ counters }) => counters.acceptedBy(0));
  }

  /** Waits until every flow has ended. */
  async quiet(): Promise<void> {
    await until(5_000, 'all flows end', () => this.total('flows_active') === 0, this.context);
  }

  /** Log lines that begin so; they come up to 50 ms late. */
  said(beginning: string): LogLine[] {
    return this.logs.filter(({ msg }) => msg.startsWith(beginning));
  }

  readonly context = (): string => this.logs.map((line) => JSON.stringify(line)).join('\n');

  /** Ends a test: every place was given back, and every descriptor. */
  async finish(t: Test): Promise<void> {
    await this.stop();
    const active = this.snapshot.endpoints.map(({ slot }) => this.table.active(slot));
    t.ok(
      active.every((count) => count === 0),
      `places given back: ${active}`,
    );
    t.equal(this.waiting, 0, 'nobody waits');
    for (const client of this.clients) client.close();
    const wanted = this.before.socket ?? 0;
    await until(2_000, `${wanted} sockets are left`, () => (descriptors().socket ?? 0) === wanted);
  }

  async stop(): Promise<void> {
    const threads = this.threads.splice(0);
    for (const thread of threads) thread.send({ type: 'stop' });
    for (const thread of threads) {
      const failure = await thread.gone;
      if (failure !== undefined) throw failure;
    }
  }

  private async startThreads({ workers = 2, connectMs = 5_000 }: DataPlaneSettings): Promise<void> {
    const kernel = createKernel();
    const shared = ConnectionLimit.createMemory(workers);
    const sink = { writeLines: (lines: Uint8Array) => this.keep(lines) } as unknown as LogSink;
    for (let worker = 0; worker < workers; worker++) {
      const address = new Sockaddr({ family: 'inet', host: '127.0.0.1', port: this.port });
      const options = { backlog: 1024, reusePort: true, ipv6Only: false };
      const fd = openListener(kernel, address, options);
      this.port = (localAddress(kernel, fd) as { port: number }).port;
      const snapshot: WorkerSnapshot = {
        worker,
        core: -1,
        ioUring: true,
        listeners: [
          { name: 'test', index: 0, fd, address: String(address), family: 'inet', upstream: 0 },
        ],
        upstreams: [this.snapshot],
        endpointTable: this.table.memory,
        timeouts: {
          connectMs,
          headMs: 1000,
          keepAliveMs: 1000,
          tlsHandshakeMs: 1000,
          idleMs: 60_000,
          requestMs: 0,
          responseMs: 0,
          tunnelMs: 60_000,
        },
        limits: {
          connectionsMax: 10_000,
          clientDescriptorsEnd: Number.POSITIVE_INFINITY,
          pipeMemoryBytes: 1 << 24,
          pipeBytes: 1 << 20,
          headBytes: 8192,
          headers: 50,
          cachedFiles: 100,
        },
        log: { level: 'info', access: true },
      };
      this.threads.push(new DataThread(kernel, snapshot, shared, sink));
    }
    await Promise.all(this.threads.map(({ ready }) => ready));
  }

  private keep(lines: Uint8Array): void {
    for (const line of Buffer.from(lines).toString().split('\n'))
      if (line !== '') this.logs.push(JSON.parse(line));
  }

  private sum(pick: (thread: DataThread) => number): number {
    return this.threads.reduce((total, thread) => total + pick(thread), 0);
  }
}
