import { formatAddress, type SocketAddress, type Transport } from '../../../splice/index.js';
import { CapturedTransport, captureNote, FlowCapture } from '../../capture/index.js';
import type { CloseReason } from '../../counters.js';
import { DialState } from '../../dial.js';
import type { DirectionStatus } from '../../flow/index.js';
import { bytesMoved, describeDirection, type FlowHead } from '../../flow/index.js';
import type { Listener } from '../../listener.js';
import type { WorkerRoom } from '../../room.js';
import type { Session, SessionDetail } from '../../session.js';
import type { SessionStateName } from '../../session-state.js';
import { Timer, type TimerOwner } from '../../timer-wheel.js';
import type { TlsSide } from '../../tls-side.js';
import { describeTls } from '../../tls-status.js';
import type { Upstream } from '../../upstream/index.js';
import type { Exchange } from '../exchange/index.js';
import { ExchangeState } from '../exchange/index.js';
import type { HttpService } from '../http-service.js';
import { type HttpClient, hostText } from '../routing/index.js';
import { ConnectionState } from './connection-state.js';
import { describeHttp, direction } from './connection-status.js';
import type { HttpTunnel } from './http-tunnel.js';
import type { RequestReader } from './request-reader.js';

/** An HTTP connection as its worker sees it: who it is, what it does, how much it has moved, how long it may be quiet. */
export abstract class ConnectionSession implements Session, TimerOwner {
  readonly timer: Timer = new Timer(this);
  readonly sequence: number;
  readonly startedMs: number;
  /** Of the last event of either side. */
  lastActivityMs: number;
  abstract readonly state: ConnectionState;
  abstract readonly exchange: Exchange | undefined;
  abstract readonly tunnelled: HttpTunnel | undefined;
  abstract readonly hasPartialHead: boolean;
  abstract readonly tls: TlsSide | undefined;
  abstract readonly reader: RequestReader;
  /** What the client's PROXY header said, if there was one. */
  abstract readonly head: FlowHead | undefined;
  /** Where the listener wants one, from the first request on. */
  capture: FlowCapture | undefined;
  /** What is done with the present request. */
  service!: HttpService;
  /** Of exchanges that are over. */
  private bytesUp = 0;
  protected bytesDown = 0;
  private knownClient: HttpClient | undefined;
  private clientService: HttpService | undefined;

  constructor(
    private readonly room: WorkerRoom,
    readonly listener: Listener,
    /** With TLS another one, once the handshake is done. */
    public transport: Transport,
    /** Who has connected, as accept4(2) has said. */
    private readonly peer: SocketAddress,
  ) {
    this.sequence = room.nextFlowSequence();
    this.startedMs = room.clock.nowMs;
    this.lastActivityMs = this.startedMs;
  }

  abstract onTimer(): void;

  /** Before the first byte of a request is read. */
  protected beginCapture(): void {
    const { room, listener, sequence } = this;
    this.capture = FlowCapture.begin(room, listener.snapshot.capture, sequence, () => {
      const source = this.head?.endpoints?.source;
      const peer = this.clientText();
      return captureNote({
        ...{ kernel: room.kernel, uniqueName: room.uniqueName, sequence },
        ...{ listener: listener.snapshot.name, protocol: 'http', fd: this.transport.fd },
        clientText: source === undefined ? peer : formatAddress(source),
        via: source === undefined ? undefined : peer,
        tls: this.tls,
      });
    });
    if (this.capture === undefined) return;
    this.transport = new CapturedTransport(this.transport, this.capture);
  }

  abstract drain(): void;
  abstract terminate(reason: CloseReason): void;
  abstract onException(error: unknown): void;

  /** Who the requests come from, as the present service sees it. */
  get client(): HttpClient {
    if (this.knownClient === undefined || this.clientService !== this.service) {
      const session = this.tls?.session;
      const { version } = describeTls(this.tls) ?? {};
      this.clientService = this.service;
      this.knownClient = this.service.policy.clientOf({
        source: this.head?.endpoints?.source ?? this.peer,
        scheme: this.tls === undefined ? 'http' : 'https',
        serverName: session?.serverName,
        tlsSubject: session?.peer?.subject,
        tlsVersion: version && `TLSv${version}`,
      });
    }
    return this.knownClient;
  }

  get stateName(): SessionStateName {
    switch (this.state) {
      case ConnectionState.greeting:
        return this.tls === undefined ? 'readingHead' : 'securing';
      case ConnectionState.reading:
        return this.hasPartialHead ? 'readingHead' : 'idle';
      case ConnectionState.exchanging:
        return exchangeStateName(this.exchange!);
      case ConnectionState.tunnelling:
        return 'tunnelling';
      default:
        return 'lingering';
    }
  }

  get upstream(): Upstream | undefined {
    return this.exchange?.attempts?.upstream;
  }

  get isUnconnected(): boolean {
    return this.exchange?.state === ExchangeState.dialling;
  }

  get bytesMoved(): number {
    const { up, down } = this.describe();
    return up.bytes + down.bytes;
  }

  /** Who has connected, or who a PROXY header says did, without the port; empty for one that has no address. */
  get sourceIp(): string {
    return hostText(this.head?.endpoints?.source ?? this.peer);
  }

  /** What a tunnel has moved, if the connection has become one. */
  get tunnelBytes(): { bytesUp: number; bytesDown: number } {
    const { up, down } = this.tunnelled?.tunnel ?? {};
    return { bytesUp: bytesMoved(up), bytesDown: bytesMoved(down) - (down?.heldBytes ?? 0) };
  }

  clientText(): string {
    return formatAddress(this.peer);
  }

  describe(): SessionDetail {
    const { exchange, tunnelled, lastActivityMs } = this;
    const { endpoint } = exchange?.attempts ?? {};
    const details = {
      endpoint: endpoint?.text,
      lastActivityMs,
      connectMs: -1,
      tls: describeTls(this.tls),
      upstreamTls: describeTls(tunnelled?.upstreamTls ?? exchange?.link.tls),
      http: describeHttp(this, this.room.clock.nowMs),
      mirror: exchange?.shadow?.status,
      capture: this.capture?.id,
    };
    const before = { up: this.bytesUp, down: this.bytesDown };
    if (tunnelled !== undefined) {
      const { up, down, isUpOver, isDownOver, isUpSecure, isDownSecure } = tunnelled.tunnel;
      // The request that opened it is not over as long as it is there.
      before.up += exchange?.request.bytes ?? 0;
      before.down += exchange?.response.bytes ?? 0;
      return {
        ...details,
        up: added(before.up, describeDirection(up, isUpOver, isUpSecure)),
        down: added(before.down, describeDirection(down, isDownOver, isDownSecure)),
      };
    }
    return {
      ...details,
      up: direction(exchange?.request, before.up),
      down: direction(exchange?.response, before.down),
    };
  }

  /** Sees to it that the timer goes off in time for the exchange. */
  keepTime(): void {
    this.expectBy(this.exchange!.patience.dueMs);
  }

  /** Whether nothing has happened for too long; otherwise the timer is set again. */
  isQuiet(): boolean {
    const { clock, timeouts } = this.room;
    const deadlineMs = this.lastActivityMs + timeouts.idleMs;
    if (clock.nowMs >= deadlineMs) return true;
    clock.wheel.schedule(this.timer, deadlineMs);
    return false;
  }

  moveTo(upstream: Upstream): void {
    this.exchange!.link.moveTo(upstream);
  }

  /** Sees to it that the timer goes off by then. */
  expectBy(deadlineMs: number): void {
    const { timer, room } = this;
    if (timer.isScheduled && timer.deadlineMs <= deadlineMs) return;
    room.clock.wheel.schedule(timer, deadlineMs);
  }

  protected countBytes({ request, response }: Exchange): void {
    this.bytesUp += request.bytes;
    this.bytesDown += response.bytes;
  }

  /** Counts what was no request, and its answer. */
  countRefused(bytesUp: number, bytesDown: number): void {
    this.bytesUp += bytesUp;
    this.bytesDown += bytesDown;
  }
}

function exchangeStateName({ state, link }: Exchange): SessionStateName {
  switch (state) {
    case ExchangeState.dialling:
      if (link.state === DialState.queued) return 'queued';
      if (link.state === DialState.securing) return 'securingUpstream';
      return link.state === DialState.choosing ? 'accepted' : 'connecting';
    case ExchangeState.awaiting:
      return 'awaiting';
    default:
      return 'responding';
  }
}

function added(bytesBefore: number, status: DirectionStatus): DirectionStatus {
  return { ...status, bytes: bytesBefore + status.bytes };
}
