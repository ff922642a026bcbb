import { Outcome, type Transport } from '../../../splice/index.js';
import { type Mirror, Shadow, ShadowState } from '../../mirror/index.js';
import type { ProxiedClient } from '../../proxy-sender.js';
import type { Endpoint, Upstream } from '../../upstream/index.js';
import type { HttpRoom } from '../http-room.js';
import type { Method } from '../message/index.js';
import { UpstreamConnection, type UpstreamUser } from '../pool/index.js';
import { DroppedAnswer, DropResult } from './dropped-answer.js';

/** The request at hand, as its shadow needs to know it. */
export interface ShadowedRequest {
  readonly upstream: Upstream;
  /** What `Upstream.select` wants. */
  readonly key: number;
  /** Whom a PROXY header speaks of; nothing where the shadow's upstream wants none. */
  readonly client: ProxiedClient | undefined;
  readonly method: Method;
}

/**
 * The shadow of one request, on a connection that is idle in the pool or made for it; there it goes back
 * once the response is over.
 */
export class RequestShadow extends Shadow implements UpstreamUser {
  private connection: UpstreamConnection | undefined;
  private readonly answer: DroppedAnswer;

  constructor(
    private readonly http: HttpRoom,
    mirror: Mirror,
    { upstream, key, client, method }: ShadowedRequest,
  ) {
    super(http.worker, mirror, upstream, key, client);
    this.answer = new DroppedAnswer(http, method);
  }

  onUpstreamEvents(events: number): void {
    this.onConnectionEvents(events);
  }

  protected override endedWhole(): void {
    super.endedWhole();
    const { state } = this;
    if (state === ShadowState.following || state === ShadowState.ending) this.startDeadline();
  }

  reuse(endpoint: Endpoint): boolean {
    const { upstreams } = this.http;
    if (this.dial.attempts.upstream.idleMax === 0) return false;
    const connection = upstreams.take(endpoint);
    if (connection === undefined) return false;
    connection.user = this;
    this.connection = connection;
    return true;
  }

  watch(transport: Transport): number {
    const { upstreams, worker } = this.http;
    const endpoint = this.dial.attempts.endpoint!;
    const making = { endpoint, transport, user: this };
    this.connection = new UpstreamConnection(worker.clock, upstreams, making);
    return this.connection.register();
  }

  unwatch(): void {
    this.room.clock.forget(this.connection!.transport.fd);
    this.connection = undefined;
  }

  protected connected(): Transport {
    const { dial } = this;
    const connection = this.connection!;
    if (dial.transport !== undefined) {
      // With TLS bytes go another way from now on, and the connection outlives the dial.
      connection.transport = dial.transport;
      connection.tls = dial.tls;
      dial.tls = undefined;
    }
    if (this.hasAll) this.startDeadline();
    return connection.transport;
  }

  /** There is no end to be said: the request has its own. */
  protected finishSending(): void {}

  protected readAnswer(transport: Transport): void {
    switch (this.answer.read(transport)) {
      case DropResult.Waiting:
        return;
      case DropResult.Yielded:
        this.room.clock.defer(this);
        return;
      case DropResult.Broken:
        this.cut('reset');
        return;
      case DropResult.Ended:
        if (this.state === ShadowState.ending) this.end(true);
        else this.cut('answered');
    }
  }

  protected onDeadline(): void {
    // The timer may be what the dial has left of it.
    if (this.hasAll) this.cut('timeout');
  }

  protected closeConnection(isOrderly: boolean): void {
    const { connection } = this;
    this.connection = undefined;
    this.answer.release();
    if (connection === undefined) return;
    connection.patienceMs = this.answer.patienceMs;
    const { upstream } = this.dial.attempts;
    if (!isOrderly) connection.reset();
    else if (this.isInOrder(connection)) this.http.upstreams.give(connection, upstream);
    else connection.close();
  }

  /** The connection is open and silent, and speaks for no client. */
  private isInOrder({ hasEnded, transport }: UpstreamConnection): boolean {
    const { idleMax, sendProxyProtocol } = this.dial.attempts.upstream;
    if (!this.answer.keepsConnection || hasEnded || idleMax === 0) return false;
    if (sendProxyProtocol !== undefined) return false;
    return !transport.readable || transport.discard(1) === Outcome.Blocked;
  }
}
