import { Epoll } from '../../splice/index.js';
import type { CloseReason } from '../counters.js';
import type { Task } from '../event-loop.js';
import { FlowSide, type SideOwner } from '../flow-side.js';
import type { Session } from '../session.js';
import type { TlsSide } from '../tls-side.js';
import { type SideName, Tunnel } from '../tunnel.js';
import type { HttpConnection } from './connection.js';
import type { UpstreamConnection } from './upstream-connection.js';

const BROKEN_EVENTS = Epoll.EPOLLERR | Epoll.EPOLLHUP;

/** After one side broke, the other may pause this long in taking the last bytes. */
const LINGER_MS = 500;

/**
 * What becomes of a connection whose protocol was switched (RFC 9110 §7.8): bytes go both ways, and
 * nobody looks at them.
 */
export class HttpTunnel implements SideOwner, Task {
  readonly tunnel: Tunnel;
  private readonly client: FlowSide;
  private readonly upstream: FlowSide;
  private isDeferred = false;

  /** @param connection which ends when the tunnel does */
  constructor(
    private readonly connection: HttpConnection,
    private readonly endpoint: UpstreamConnection,
  ) {
    const upstream = endpoint;
    const { worker } = connection;
    const { clock } = worker;
    this.client = new FlowSide(clock, this, connection.transport, true);
    this.upstream = new FlowSide(clock, this, upstream.transport, false);
    clock.handOver(connection, this.client, connection.transport.fd);
    clock.handOver(upstream, this.upstream, upstream.transport.fd);
    this.tunnel = new Tunnel(worker, this.client, this.upstream, connection.tls, upstream.tls);
  }

  get upstreamTls(): TlsSide | undefined {
    return this.endpoint.tls;
  }

  get session(): Session {
    return this.connection;
  }

  /** Moves what is there already. */
  begin(): void {
    this.pump();
  }

  onClientEvents(events: number): void {
    this.onEvents(events, 'client');
  }

  onUpstreamEvents(events: number): void {
    this.onEvents(events, 'upstream');
  }

  /** The run queue's turn. */
  runTask(): void {
    this.isDeferred = false;
    if (this.connection.isTunnelling) this.pump();
  }

  onException(error: unknown): void {
    this.connection.onException(error);
  }

  /** The connection's timer went off. */
  onTimer(): void {
    const { brokenSide } = this.tunnel;
    if (brokenSide !== undefined) this.connection.terminate(`${brokenSide}_reset`);
    else if (this.connection.isQuiet()) this.connection.terminate('idle_timeout');
  }

  /** Gives everything back but the client's connection. @returns false when bytes were lost */
  end(isOrderly: boolean): boolean {
    const { tunnel, endpoint: upstream } = this;
    const isClean = isOrderly && !tunnel.isHolding && tunnel.brokenSide === undefined;
    tunnel.release();
    if (isClean) upstream.close();
    else upstream.reset();
    return isClean;
  }

  private onEvents(events: number, side: SideName): void {
    this.connection.lastActivityMs = this.connection.worker.clock.nowMs;
    this.pump();
    if ((events & BROKEN_EVENTS) === 0 || !this.connection.isTunnelling) return;
    this.after(this.tunnel.reportBroken(side));
  }

  private pump(): void {
    this.after(this.tunnel.run());
    if (!this.connection.isTunnelling || !this.tunnel.hasYielded || this.isDeferred) return;
    this.isDeferred = true;
    this.connection.worker.clock.defer(this);
  }

  private after(over: CloseReason | undefined): void {
    const { connection, tunnel } = this;
    if (over !== undefined) connection.terminate(over);
    else if (tunnel.isLingering) {
      const { clock } = connection.worker;
      clock.wheel.schedule(connection.timer, clock.nowMs + LINGER_MS);
    }
  }
}
