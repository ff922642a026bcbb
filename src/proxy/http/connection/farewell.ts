import { Outcome, unacknowledgedBytes } from '../../../splice/index.js';
import type { CloseReason } from '../../counters.js';
import type { Task } from '../../event-loop.js';
import type { HttpBuffers } from '../http-buffers.js';
import type { HttpConnection } from './connection.js';
import { ConnectionState } from './connection-state.js';

/** How long a client that was told of the end may go on sending, after it has last taken something. */
const LINGER_MS = 2000;
/** Reads of a turn: a client may send faster than they empty its socket. */
const TURN_READS_MAX = 256;

/**
 * The end of a client's connection after its last answer: what the client still sends is read and thrown
 * away, because closing would answer it with a reset, which can overtake the answer (RFC 9112 §9.6).
 */
export class Farewell implements Task {
  /** What the client may still have to say does not matter, or there is nothing. */
  private hasHeardAll: boolean;
  /** What the client had still to take when the time was up last. */
  private waitingBytes = Number.POSITIVE_INFINITY;
  private isDeferred = false;

  /**
   * @param isSilent nothing more comes of the client, or nothing that could hurt
   * @param reason why the connection ends; one that both sides expect
   */
  constructor(
    private readonly connection: HttpConnection,
    private readonly buffers: HttpBuffers,
    isSilent: boolean,
    private readonly reason: CloseReason,
  ) {
    const { transport } = connection;
    this.hasHeardAll = isSilent && !transport.readable;
    // Before it is closed, which would drop what waits for the FIN if the client had sent something meanwhile.
    transport.shutdownWrite();
  }

  /** Nothing is waited for: the connection can be closed. */
  get isOver(): boolean {
    return this.hasHeardAll && !this.connection.transport.isClosing;
  }

  /** There is something to wait for. */
  begin(): void {
    this.wait();
    this.discard();
  }

  /** Throws away what came. */
  discard(): void {
    const { connection } = this;
    const { transport } = connection;
    const { output } = this.buffers;
    for (let reads = 0; transport.readable; reads++) {
      if (reads === TURN_READS_MAX) {
        this.defer();
        return;
      }
      const read = transport.read(output.address, output.byteLength);
      if (read > 0) continue;
      if (read === Outcome.Failed) {
        connection.terminate(this.reason);
        return;
      }
      if (read === Outcome.Eof) this.hasHeardAll = true;
      break;
    }
    if (this.isOver) connection.terminate(this.reason);
    else connection.listenAgain();
  }

  runTask(): void {
    this.isDeferred = false;
    if (this.connection.state === ConnectionState.lingering) this.discard();
  }

  onException(error: unknown): void {
    this.connection.onException(error);
  }

  onTimer(): void {
    const { connection } = this;
    const { transport, worker } = connection;
    const waitingBytes = unacknowledgedBytes(worker.kernel, transport.fd);
    const isTaking = waitingBytes > 0 && waitingBytes < this.waitingBytes;
    this.waitingBytes = waitingBytes;
    if (isTaking) this.wait();
    else if (!transport.isClosing || connection.isQuiet()) connection.terminate(this.reason);
  }

  /** Goes on next turn, without an event. */
  private defer(): void {
    if (this.isDeferred) return;
    this.isDeferred = true;
    this.connection.worker.clock.defer(this);
  }

  private wait(): void {
    const { timer, worker } = this.connection;
    worker.clock.wheel.schedule(timer, worker.clock.nowMs + LINGER_MS);
  }
}
