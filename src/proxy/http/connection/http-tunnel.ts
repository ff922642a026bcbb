import {
  FlowSide,
  type PathTaken,
  pathTaken,
  type SideOwner,
  Tunnel,
  TunnelTask,
} from '../../flow/index.js';
import type { Session } from '../../session.js';
import type { TlsSide } from '../../tls-side.js';
import type { UpstreamConnection } from '../pool/index.js';
import type { HttpConnection } from './connection.js';

/**
 * What becomes of a connection whose protocol was switched (RFC 9110 §7.8): bytes go both ways, and
 * nobody looks at them.
 */
export class HttpTunnel implements SideOwner {
  private readonly task: TunnelTask;
  private readonly client: FlowSide;
  private readonly upstream: FlowSide;

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
    const tunnel = new Tunnel(worker, this.client, this.upstream, connection.tls, upstream.tls);
    this.task = new TunnelTask(worker, connection, tunnel);
  }

  get tunnel(): Tunnel {
    return this.task.tunnel;
  }

  /** Which way bytes went. */
  get paths(): { up: PathTaken; down: PathTaken } {
    const { up, down, isUpSecure, isDownSecure } = this.tunnel;
    return { up: pathTaken(up, isUpSecure), down: pathTaken(down, isDownSecure) };
  }

  get upstreamTls(): TlsSide | undefined {
    return this.endpoint.tls;
  }

  get session(): Session {
    return this.connection;
  }

  /** Moves what is there already. */
  begin(): void {
    this.task.begin();
  }

  onClientEvents(events: number): void {
    this.task.onEvents(events, 'client');
  }

  onUpstreamEvents(events: number): void {
    this.task.onEvents(events, 'upstream');
  }

  onException(error: unknown): void {
    this.connection.onException(error);
  }

  /** The connection's timer went off. */
  onTimer(): void {
    this.task.onTimer();
  }

  /** Gives everything back but the client's connection. @returns false when bytes were lost */
  end(isOrderly: boolean): boolean {
    const { task, endpoint: upstream } = this;
    task.settle();
    const isClean = isOrderly && task.isClean;
    task.release();
    if (isClean) upstream.close();
    else upstream.reset();
    return isClean;
  }
}
