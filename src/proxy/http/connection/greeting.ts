import type { SocketAddress, Transport } from '../../../splice/index.js';
import { Handshake, HandshakeResult } from '../../../tls/index.js';
import type { CloseReason } from '../../counters.js';
import { FlowHead } from '../../flow/index.js';
import type { Listener } from '../../listener.js';
import type { WorkerRoom } from '../../room.js';
import { TlsSide } from '../../tls-side.js';

/** How a greeting goes on. */
export const GreetingResult = {
  /** An event will say when to go on. */
  Waiting: 0,
  /** HTTP may begin, over {@link Greeting.transport} if there is one. */
  Done: 1,
  /** The connection is to be closed for {@link Greeting.failure}; the client has been told. */
  Failed: 2,
} as const;
export type GreetingResult = (typeof GreetingResult)[keyof typeof GreetingResult];

/**
 * What comes on a client's connection before HTTP does: a PROXY header of a proxy in front, then a TLS
 * handshake; the one, the other or both.
 *
 * ```
 *   head ──▶ handshake ──▶ done
 *     └──────────┴──▶ failed
 * ```
 */
export class Greeting {
  /** Why it failed. */
  failure: CloseReason = 'error';
  readonly tls: TlsSide | undefined;
  /** Of the PROXY header, where one was expected. */
  readonly head: FlowHead | undefined;
  private isHeadRead: boolean;
  /** When the stage at hand has to be over. */
  deadlineMs: number;

  private constructor(
    private readonly worker: WorkerRoom,
    private readonly listener: Listener,
    head: FlowHead | undefined,
    fd: number,
  ) {
    const { tls, snapshot } = listener;
    this.head = head;
    this.isHeadRead = head === undefined;
    if (tls !== undefined) {
      const isTcp = snapshot.family !== 'unix';
      const handshake = Handshake.accept(worker, tls.contexts, fd, isTcp, listener.inForce);
      this.tls = new TlsSide(worker, 'client', handshake, tls.kernel);
    }
    const { clock, timeouts } = worker;
    this.deadlineMs = this.isHeadRead ? this.tls!.begin() : clock.nowMs + timeouts.headMs;
  }

  /** @returns nothing where HTTP begins with the first byte */
  static of(worker: WorkerRoom, listener: Listener, fd: number): Greeting | undefined {
    const policy = listener.head;
    const expected = policy?.expected(worker.kernel, fd);
    const head = expected && new FlowHead(worker, policy!, expected, fd);
    if (head === undefined && listener.tls === undefined) return undefined;
    return new Greeting(worker, listener, head, fd);
  }

  /** Who a PROXY header says the client is; undefined without one, or one that says nothing. */
  get source(): SocketAddress | undefined {
    return this.head?.endpoints?.source;
  }

  /** After Done: another one than before, where there is TLS. */
  get transport(): Transport | undefined {
    return this.tls?.transport;
  }

  /** A part of what is waited for has come. */
  get hasBegun(): boolean {
    return this.isHeadRead ? this.tls!.hasBegun : this.head!.hasBegun;
  }

  /** @param events what epoll reported; 0 for a try without an event */
  advance(events: number): GreetingResult {
    if (!this.isHeadRead) {
      if (!this.head!.advance(events)) return GreetingResult.Waiting;
      if (this.head!.rejection !== undefined) return this.rejected('head_rejected');
      this.isHeadRead = true;
      if (this.tls !== undefined) this.deadlineMs = this.tls.begin();
    }
    if (this.tls === undefined) return GreetingResult.Done;
    switch (this.tls.advance(events)) {
      case HandshakeResult.Waiting:
        return GreetingResult.Waiting;
      case HandshakeResult.Done:
        return GreetingResult.Done;
      case HandshakeResult.Failed:
        this.failure = 'tls_failed';
        return GreetingResult.Failed;
    }
  }

  /** The time is up. @returns why the connection is closed */
  expire(): CloseReason {
    if (this.isHeadRead) {
      this.tls!.expire();
      return 'tls_timeout';
    }
    this.head!.expire();
    this.rejected('head_timeout');
    return 'head_timeout';
  }

  /** The connection is over. */
  end(): void {
    this.tls?.end();
  }

  private rejected(reason: 'head_rejected' | 'head_timeout'): GreetingResult {
    const { counters } = this.worker;
    counters.countRejected(this.listener.snapshot.index, this.head!.rejection!);
    this.failure = reason;
    return GreetingResult.Failed;
  }
}
