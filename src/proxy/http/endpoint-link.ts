import { Outcome, type Transport } from '../../splice/index.js';
import type { Endpoint, Upstream } from '../upstream/index.js';
import type { HttpRoom } from './http-room.js';
import { UpstreamConnection, type UpstreamUser } from './upstream-connection.js';

/** The connection to an endpoint that an exchange has at the moment, from the pool or made for it. */
export class EndpointLink {
  /** Nothing while there is none. */
  connection: UpstreamConnection | undefined;
  /** It may carry another request, if it is left in order. */
  isKept = false;
  /** A connection that was reused has failed: the next one must be new. */
  avoidsReuse = false;

  constructor(
    private readonly room: HttpRoom,
    private readonly user: UpstreamUser,
  ) {}

  /** Begins with another exchange. */
  begin(): void {
    this.isKept = false;
    this.avoidsReuse = false;
  }

  get transport(): Transport {
    return this.connection!.transport;
  }

  /** Takes an idle connection to the endpoint. @returns false when there is none to be had */
  reuse(endpoint: Endpoint): boolean {
    if (this.avoidsReuse) return false;
    const connection = this.room.upstreams.take(endpoint);
    if (connection === undefined) return false;
    connection.user = this.user;
    this.connection = connection;
    return true;
  }

  /** Takes a connection that is being made. @returns 0, or a negative error number */
  watch(endpoint: Endpoint, transport: Transport): number {
    const { worker, upstreams } = this.room;
    const { epoch } = upstreams;
    const { user } = this;
    this.connection = new UpstreamConnection(
      worker.clock,
      upstreams,
      endpoint,
      transport,
      epoch,
      user,
    );
    return this.connection.register();
  }

  /** The connection came to nothing; somebody else closes it. */
  unwatch(): void {
    if (this.connection === undefined) return;
    this.room.worker.clock.forget(this.connection.transport.fd);
    this.connection = undefined;
  }

  /** Closes the connection with a reset. */
  drop(): void {
    this.connection?.reset();
    this.connection = undefined;
  }

  /**
   * The exchange is over: the connection goes to the pool, or is closed.
   *
   * @param isCut the endpoint must not take what it has of the request for the whole
   */
  give(upstream: Upstream, isCut: boolean): void {
    const { connection, room } = this;
    if (connection === undefined) return;
    this.connection = undefined;
    if (isCut) connection.reset();
    else if (this.isKept && !connection.hasEnded && this.isSilent(connection.transport)) {
      room.upstreams.give(connection, upstream);
    } else connection.close();
  }

  /** Nothing is in the socket: whatever came behind a response would be taken for the next one. */
  private isSilent(transport: Transport): boolean {
    if (!transport.readable) return true;
    return transport.read(this.room.buffers.output.address, 1) === Outcome.Blocked;
  }
}
