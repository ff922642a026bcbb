import { Outcome, type Transport } from '../../../splice/index.js';
import type { CloseReason } from '../../counters.js';
import { Dial, type DialOwner, DialState } from '../../dial.js';
import { sendProxyHeader } from '../../proxy-sender.js';
import type { TlsSide } from '../../tls-side.js';
import type { Attempts, Endpoint, Upstream } from '../../upstream/index.js';
import type { HttpConnection } from '../connection/index.js';
import type { HttpRoom } from '../http-room.js';
import { UpstreamConnection, type UpstreamUser } from './upstream-connection.js';

/** Whom a link is for. */
export interface LinkOwner extends UpstreamUser {
  /** Of the client. */
  readonly connection: HttpConnection;
  /** How long an endpoint may take to accept a connection. */
  readonly connectTimeoutMs: number;
  /** Sets the timer, whose expiry is for `EndpointLink.onTimer` until there is an answer. */
  schedule(deadlineMs: number): void;
  /** There is a connection to an endpoint. */
  onLinked(): void;
  /** There will be none. */
  onLinkFailed(reason: CloseReason): void;
}

/**
 * An exchange's way to an endpoint: a place there, and a connection that is idle in the pool or made for
 * it.
 *
 * ```
 *   none ──▶ dialling ──▶ linked ──▶ none
 *                ▲  idle one  │ ▲        the connection goes to the pool, or is closed
 *                └────────────┘ │
 *                 it was dead, or another endpoint is tried
 * ```
 */
export class EndpointLink implements DialOwner {
  /** Nothing while there is none. */
  connection: UpstreamConnection | undefined;
  /** It may carry another request, if it is left in order. */
  isKept = false;
  private dial: Dial | undefined;
  private isBegun = false;
  /** A connection that was idle has failed: the next one must be new. */
  private avoidsReuse = false;

  constructor(
    private readonly room: HttpRoom,
    private readonly owner: LinkOwner,
  ) {}

  get connectTimeoutMs(): number {
    return this.owner.connectTimeoutMs;
  }

  schedule(deadlineMs: number): void {
    this.owner.schedule(deadlineMs);
  }

  get transport(): Transport {
    return this.connection!.transport;
  }

  /** Endpoints tried, and the one chosen last; nothing before {@link begin} and after {@link end}. */
  get attempts(): Attempts | undefined {
    return this.isBegun ? this.dial!.attempts : undefined;
  }

  get state(): DialState {
    return this.dial?.state ?? DialState.over;
  }

  /** Of the connection, or of the last one that came to nothing; where the upstream speaks TLS. */
  get tls(): TlsSide | undefined {
    return this.connection?.tls ?? this.dial?.tls;
  }

  /** How long connecting took; −1 for a connection that was idle. */
  get connectMs(): number {
    return this.dial?.connectMs ?? -1;
  }

  /**
   * Goes to an endpoint of the upstream.
   *
   * @param key what `Upstream.select` wants
   * @param isFresh the connection must be new
   */
  begin(upstream: Upstream, key: number, isFresh: boolean): void {
    const { room, owner } = this;
    const { connection } = owner;
    const { transparent } = connection.listener.snapshot;
    const clientFd = transparent ? connection.transport.fd : undefined;
    this.isKept = false;
    // What keeps no connections has none in the pool, and is not to be taken for what has its slot there.
    this.avoidsReuse = isFresh || upstream.idleMax === 0;
    this.isBegun = true;
    if (this.dial === undefined) {
      this.dial = new Dial(room.worker, this, upstream, key, clientFd);
      this.dial.begin();
    } else {
      this.dial.again(upstream, key, clientFd);
    }
  }

  /** Events of a connection that is being made. */
  onDialEvents(events: number): void {
    this.dial!.onEvents(events);
  }

  onTimer(): void {
    this.dial!.onTimer();
  }

  moveTo(upstream: Upstream): void {
    this.dial!.moveTo(upstream);
  }

  /** The connection was idle before, and no new one was tried yet: nobody is to blame when it is dead. */
  get wasIdle(): boolean {
    return this.connection!.isReused && !this.avoidsReuse;
  }

  /** Connects anew to the same endpoint. */
  reconnect(): void {
    this.drop();
    this.avoidsReuse = true;
    this.dial!.reconnect();
  }

  /** Tries another endpoint. @returns false when there is none to try */
  another(): boolean {
    this.drop();
    return this.dial!.another();
  }

  reuse(endpoint: Endpoint): boolean {
    if (this.avoidsReuse) return false;
    const connection = this.room.upstreams.take(endpoint);
    if (connection === undefined) return false;
    connection.user = this.owner;
    this.connection = connection;
    return true;
  }

  watch(transport: Transport): number {
    const { room, owner } = this;
    const { endpoint } = this.dial!.attempts;
    this.connection = new UpstreamConnection(room.worker.clock, room.upstreams, {
      endpoint: endpoint!,
      transport,
      user: owner,
    });
    return this.connection.register();
  }

  unwatch(): void {
    if (this.connection === undefined) return;
    this.room.worker.clock.forget(this.connection.transport.fd);
    this.connection = undefined;
  }

  greet(): CloseReason | undefined {
    const { connection: client } = this.owner;
    const { attempts } = this.dial!;
    if (attempts.upstream.sendProxyProtocol === undefined) return undefined;
    const { head, sequence, tls } = client;
    const { worker: room } = this.room;
    return sendProxyHeader({
      room,
      sequence,
      attempts,
      head,
      tls,
      client,
      upstream: this.connection,
    });
  }

  onDialled(): void {
    const { dial, connection } = this;
    if (dial!.transport !== undefined) {
      // With TLS the bytes go by another transport from now on, and the connection outlives the dial.
      connection!.transport = dial!.transport;
      connection!.tls = dial!.tls;
      dial!.tls = undefined;
    }
    this.owner.onLinked();
  }

  onDialFailed(reason: CloseReason): void {
    this.owner.onLinkFailed(reason);
  }

  onException(error: unknown): void {
    this.owner.onException(error);
  }

  /** Closes the connection with a reset; the place at the endpoint stays. */
  drop(): void {
    this.connection?.reset();
    this.connection = undefined;
  }

  /** There is to be no connection any more: whatever the dial does or waits for, it ends. */
  giveUp(): void {
    this.drop();
    if (this.isBegun) this.dial!.end();
  }

  /** Somebody else takes the connection; the place at the endpoint stays. */
  surrender(): UpstreamConnection {
    const connection = this.connection!;
    this.connection = undefined;
    connection.ear.open();
    return connection;
  }

  /**
   * The exchange is over: the connection goes to the pool or is closed, the place is free.
   *
   * @param isCut the endpoint must not take what it has of the request for the whole
   */
  end(isCut: boolean): void {
    const { connection, dial } = this;
    if (!this.isBegun) return;
    this.isBegun = false;
    if (connection !== undefined) {
      this.connection = undefined;
      const { upstream } = dial!.attempts;
      if (isCut) {
        connection.reset();
      } else if (this.isInOrder(connection, upstream)) {
        connection.ear.open();
        this.room.upstreams.give(connection, upstream);
      } else {
        connection.close();
      }
    }
    dial!.end();
  }

  /** The connection is open, silent and bound to no client. */
  private isInOrder({ hasEnded, transport }: UpstreamConnection, upstream: Upstream): boolean {
    if (!this.isKept || hasEnded || upstream.idleMax === 0) return false;
    const { transparent } = this.owner.connection.listener.snapshot;
    if (transparent || upstream.sendProxyProtocol !== undefined) return false;
    // Whatever came behind a response would be taken for the next one.
    if (!transport.readable) return true;
    return transport.read(this.room.buffers.output.address, 1) === Outcome.Blocked;
  }
}
