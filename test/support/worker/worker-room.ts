import { type Logger, pino } from 'pino';
import { EVENTS_MAX, EventLoop } from '#src/proxy/event-loop.js';
import type { Flow } from '#src/proxy/flow/flow.js';
import { sessionsOf } from '#src/proxy/flow-report.js';
import { HandshakeTurns } from '#src/proxy/handshake-turns.js';
import { HeadPolicy } from '#src/proxy/head-policy.js';
import { HttpGate, HttpRoom, HttpService } from '#src/proxy/http/index.js';
import {
  type AdmissionSnapshot,
  type CloseReason,
  COUNTER_REGION_BYTES,
  Counter,
  type CounterName,
  Counters,
  closeReasons,
  type HttpSnapshot,
  type ListenerSnapshot,
  type MirrorCut,
  type MirrorSnapshot,
  mirrorCuts,
  type TimeoutsSnapshot,
} from '#src/proxy/index.js';
import { Listener, type ListenerTls } from '#src/proxy/listener.js';
import { AccessLog, JsonLines, LineMemory } from '#src/proxy/logging/index.js';
import { Mirror, ShadowSet } from '#src/proxy/mirror/index.js';
import type { ProxySenderSnapshot } from '#src/proxy/proxy-sender.js';
import { ConnectionLimit, type WorkerRoom } from '#src/proxy/room.js';
import type { Session } from '#src/proxy/session.js';
import { HeadMemory } from '#src/proxy/tcp/index.js';
import { TurnCalls } from '#src/proxy/turn-calls.js';
import { EndpointLedger, Upstream, type UpstreamTls } from '#src/proxy/upstream/index.js';
import {
  BufferPool,
  createKernel,
  formatAddress,
  type Kernel,
  localAddress,
  openListener,
  PipePool,
  SerialBatch,
  Sockaddr,
  type SocketAddress,
} from '#src/splice/index.js';
import { ScriptedLibc } from '../faults/scripted-libc.js';
import { RawPeer } from '../sockets/raw-peer.js';
import { pause, type SocketKit } from '../sockets/socket-kit.js';
import { plainUpstreams, wholeMirror } from './upstream-snapshot.js';

export interface RoomOptions {
  readonly timeouts?: Partial<TimeoutsSnapshot>;
  readonly connectionsMax?: number;
  readonly logsAccess?: boolean;
  /** Endpoints of the upstream; one that listens, by default. */
  readonly endpoints?: readonly SocketAddress[];
  /** The same, by the address of the one that listens. */
  readonly endpointsOf?: (origin: SocketAddress) => readonly SocketAddress[];
  /** Where connections are mirrored to instead. */
  readonly shadowAddress?: SocketAddress;
  readonly family?: SocketAddress['family'];
  /** What the listener wants to see first: routes, PROXY headers. */
  readonly head?: Pick<ListenerSnapshot, 'routes' | 'acceptProxyFrom'>;
  readonly sendProxyProtocol?: ProxySenderSnapshot;
  /** The listener speaks HTTP; its routes lead to the one upstream. */
  readonly http?: HttpSnapshot;
  /** Connections are mirrored to {@link TestRoom.shadow}. */
  readonly mirror?: Partial<MirrorSnapshot>;
  /** The listener speaks TLS; the contexts stay the caller's to release. */
  readonly tls?: ListenerTls;
  /** Endpoints are spoken to by TLS; the context stays the caller's to release. */
  readonly upstreamTls?: UpstreamTls;
  /** Reads and writes of one turn are made together; {@link TestRoom.sharesCalls} by default. */
  readonly sharesCalls?: boolean;
  /** Who may connect; everybody, by default. */
  readonly admission?: AdmissionSnapshot;
}

/**
 * A worker without its thread: the test turns its loop and its clock by hand, speaks at one end of a
 * flow and listens at the other, and may script every system call.
 */
export class TestRoom implements WorkerRoom {
  /** As where there is io_uring, which is most machines; without it, every call is made by itself. */
  static sharesCalls = true;
  /** Of the heads it takes. */
  static headBytes = 8192;
  readonly libc = new ScriptedLibc();
  readonly counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  readonly kernel: Kernel = createKernel(this.libc, (syscall, errno) =>
    this.counters.countError(syscall, errno),
  );
  readonly clock: EventLoop;
  readonly buffers = new BufferPool(8192);
  readonly pipes: PipePool;
  readonly log: Logger;
  readonly logsAccess: boolean;
  readonly accessLog: AccessLog;
  readonly notesRequests = true;
  readonly timeouts: TimeoutsSnapshot;
  isDraining = false;
  readonly number = 0;
  cachedFilesMax = 100;
  clientDescriptorsEnd = Number.POSITIVE_INFINITY;
  readonly headMemory = new HeadMemory();
  readonly headLimits = { headBytes: TestRoom.headBytes, headers: 50 };
  readonly uniqueName = 'test';
  readonly captures = undefined;
  readonly connections: ConnectionLimit;
  readonly handshakes: HandshakeTurns;
  readonly shadows = new ShadowSet(this.counters, () => {});
  readonly listener: Listener;
  readonly http: HttpRoom;
  /** What is done with requests, where the listener speaks HTTP. */
  readonly services: readonly HttpService[];
  readonly address: SocketAddress;
  /** What the log says, parsed. */
  readonly lines: Record<string, unknown>[] = [];
  /** The upstream's listening socket. */
  readonly origin: { readonly fd: number; readonly address: SocketAddress };
  /** The listening socket of the upstream that connections are mirrored to. */
  readonly shadow: { readonly fd: number; readonly address: SocketAddress };
  /** The loop's clock, which stands still until the test moves it. */
  nowMs = 1_000_000;
  /** How far the loop's wall clock is ahead of the filesystem's. */
  wallAheadMs = 0;
  flowsEnded = 0;
  private flowSequence = 0;

  constructor(
    readonly kit: SocketKit,
    options: RoomOptions = {},
  ) {
    const { timeouts, connectionsMax = 1000, logsAccess = false, family = 'inet' } = options;
    this.timeouts = {
      connectMs: 1000,
      headMs: 1000,
      keepAliveMs: 5000,
      tlsHandshakeMs: 1000,
      idleMs: 10_000,
      requestMs: 0,
      responseMs: 0,
      tunnelMs: timeouts?.idleMs ?? 10_000,
      ...timeouts,
    };
    this.logsAccess = logsAccess;
    this.log = pino(
      { base: null, level: 'debug' },
      { write: (line) => this.lines.push(JSON.parse(line)) },
    );
    const memory = new LineMemory(4096);
    const lineWritten = () => this.lines.push(JSON.parse(Buffer.from(memory.take()).toString()));
    this.accessLog = new AccessLog(new JsonLines({ memory, lineWritten }));
    this.clock = new EventLoop(this.kernel, this.counters, () => {}, {
      clock: () => this.nowMs,
      wallClock: () => Date.now() + this.wallAheadMs,
      calls:
        (options.sharesCalls ?? TestRoom.sharesCalls)
          ? new TurnCalls(new SerialBatch(this.kernel, EVENTS_MAX), this.counters)
          : undefined,
    });
    this.handshakes = new HandshakeTurns(this.kernel, this.clock, this.counters);
    for (const { name, result } of this.libc.trace) {
      if (name === 'epoll_create1' || name === 'timerfd_create') kit.own(result);
    }
    this.libc.script('epoll_wait', (args, real) => real(...args.with(3, 0)));
    this.pipes = new PipePool(this.kernel, 65536, 1024 * 1024);
    this.connections = new ConnectionLimit(ConnectionLimit.createMemory(1), connectionsMax, 0);
    this.origin = kit.listener(family);
    const { fd, address } = listening(kit, family);
    this.address = address;
    const snapshot: ListenerSnapshot = {
      name: 'test',
      index: 0,
      fd,
      address: formatAddress(address),
      family,
      upstream: 0,
      ...(options.http && { http: options.http }),
      ...options.head,
      admission: options.admission,
    };
    const { endpointsOf = (origin: SocketAddress) => [origin] } = options;
    const endpoints = options.endpoints ?? endpointsOf(this.origin.address);
    this.shadow = kit.listener(family);
    const { snapshots, endpointTable } = plainUpstreams({
      origin: endpoints,
      shadow: [options.shadowAddress ?? this.shadow.address],
    });
    const ledger = new EndpointLedger(endpointTable, 0);
    const { clock, log } = this;
    const { sendProxyProtocol } = options;
    const [upstream, shadows] = snapshots.map(
      (one) =>
        new Upstream(
          { ...one, ...(sendProxyProtocol && { sendProxyProtocol }) },
          { clock, log, ledger },
          options.upstreamTls,
        ),
    ) as [Upstream, Upstream];
    const head = HeadPolicy.of(snapshot, [upstream]);
    this.http = new HttpRoom(this, this.headLimits);
    this.services = options.http
      ? [new HttpService(this.http, options.http, 'test', [upstream, shadows], 0)]
      : [];
    const [service] = this.services;
    const gate = service && new HttpGate(this.http, service);
    this.listener = new Listener(this, snapshot, upstream, head, options.tls, gate);
    const mirror = { ...wholeMirror, ...options.mirror };
    if (options.mirror !== undefined)
      this.listener.mirror = new Mirror(this, { ...mirror, upstream: 1 }, [upstream, shadows], 0);
    this.listener.open();
  }

  freeDescriptors(): boolean {
    return this.clock.closeEnded() + this.pipes.releaseIdle() > 0;
  }

  nextFlowSequence(): number {
    return ++this.flowSequence;
  }

  currentUpstream(upstream: Upstream): Upstream {
    return upstream;
  }

  /** Names that were asked for; the test answers, or does not. */
  readonly lookedUp: string[] = [];

  lookUp(name: string): void {
    this.lookedUp.push(name);
  }

  flowEnded(listener: Listener): void {
    this.flowsEnded++;
    listener.resume();
  }

  /** A new client, connected but not yet accepted. */
  client(): RawPeer {
    return new RawPeer(this.kit, this.kit.connect(this.address));
  }

  /** The upstream's side of the flow that was made last. */
  upstream(): RawPeer {
    return new RawPeer(this.kit, this.kit.accept(this.origin.fd));
  }

  /** The shadow's side of the connection that was made last. */
  shadowPeer(): RawPeer {
    return new RawPeer(this.kit, this.kit.accept(this.shadow.fd));
  }

  mirrorCut(reason: MirrorCut): number {
    return this.counters.mirrorCutOf(0, mirrorCuts.indexOf(reason));
  }

  /** A client, its flow and the upstream's side of it. */
  tunnel(): { client: RawPeer; upstream: RawPeer; flow: Flow } {
    const others = this.flows().length;
    const client = this.client();
    this.until(() => this.flows().length > others);
    // The endpoint hears of it in the turn in which the connection is made, or 200 ms later.
    this.clock.turn();
    const upstream = this.upstream();
    const flow = this.flows().at(-1)!;
    this.until(() => flow.tunnel?.up !== undefined);
    return { client, upstream, flow };
  }

  /** Every session that is registered. */
  sessions(): Session[] {
    return [...sessionsOf(this.clock.registered())];
  }

  /** The flows that are registered. */
  flows(): Flow[] {
    const flows = [...this.clock.registered()].flatMap((handler) =>
      'flow' in handler ? [handler.flow as Flow] : [],
    );
    return [...new Set(flows)];
  }

  /** Turns of the loop, until nothing happens any more. */
  settle(turns = 20): void {
    for (let turn = 0; turn < turns; turn++) {
      this.clock.turn();
      if (turn % 5 === 4) pause(1);
    }
  }

  /** Turns of the loop, until something is so. @throws when it takes too long */
  until(isSo: () => boolean, timeoutMs = 3000): void {
    const deadline = Date.now() + timeoutMs;
    for (let turn = 0; !isSo(); turn++) {
      this.clock.turn();
      if (turn % 10 === 9) pause(1);
      if (Date.now() > deadline) throw new Error(`not so: ${isSo}`);
    }
  }

  /** Lets time pass, in steps small enough for every timer. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 16) {
      this.nowMs += Math.min(16, left);
      this.clock.turn();
    }
  }

  count(name: CounterName): number {
    return this.counters.values[Counter[name]]!;
  }

  closed(reason: CloseReason): number {
    return this.counters.closedOf(0, closeReasons.indexOf(reason));
  }

  /** Ends everything. @returns what is left of flows and pools: nothing */
  finish(): Record<string, number> {
    for (const session of this.sessions()) session.terminate('stopped');
    this.listener.close();
    for (const session of this.sessions()) session.terminate('stopped');
    this.http.upstreams.close();
    this.shadows.close();
    this.http.files.close();
    this.pipes.releaseIdle();
    return {
      active: this.count('flows_active') + this.shadows.size,
      buffersInUse: this.buffers.inUse + this.http.buffers.inUse,
      pipesInUse: this.pipes.gauges.inUse,
      timers: this.clock.wheel.size,
    };
  }
}

/** What {@link TestRoom.finish} must answer. */
export const nothingLeft = { active: 0, buffersInUse: 0, pipesInUse: 0, timers: 0 };

/** Like the kit's listeners, but closed by the code under test. */
function listening(
  kit: SocketKit,
  family: SocketAddress['family'],
): { fd: number; address: SocketAddress } {
  const probe = kit.listener(family);
  kit.close(probe.fd);
  const options = { backlog: 64, reusePort: family !== 'unix', ipv6Only: true };
  const fd = openListener(kit.kernel, new Sockaddr(probe.address), options);
  return { fd, address: localAddress(kit.kernel, fd) };
}
