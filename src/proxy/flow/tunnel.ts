import {
  Errno,
  type LateWrites,
  Pump,
  type PumpOwner,
  PumpResult,
  type Transport,
  takeSocketError,
} from '../../splice/index.js';
import type { CloseReason } from '../counters.js';
import type { WorkerRoom } from '../room.js';
import { isSecurePath, type TlsSide } from '../tls-side.js';
import type { FlowSide } from './flow-side.js';

/** Either side, by name; `up` is from client to upstream, `down` is back. */
export type SideName = 'client' | 'upstream';

/**
 * Two pumps between the two sides of a flow, and the rules for how their directions end.
 *
 * ```
 *   both directions ──FIN passed on, or a sink broke──▶ one direction ──likewise──▶ over
 *         └──────────────────a source broke, or an error──────────────────────────▶
 * ```
 *
 * A source that breaks ends everything: after its last bytes the other side is reset, too. A sink
 * that breaks ends only its direction, because its peer's last words may be waiting in the other.
 */
export class Tunnel {
  readonly up: Pump;
  readonly down: Pump;
  /** The bytes of that direction pass OpenSSL in userland. */
  readonly isUpSecure: boolean;
  readonly isDownSecure: boolean;
  /** A direction is over: its FIN was passed on, or its sink broke. */
  isUpOver = false;
  isDownOver = false;
  /** A pump stopped for the others' sake: run again next turn, unasked. */
  hasYielded = false;
  /** A side that was reset or broke while the other could still speak, or still had to take bytes. */
  brokenSide: SideName | undefined;
  /** There is TLS on a side: an end has to be said there, and may have to wait for room. */
  private readonly isSecure: boolean;

  constructor(
    private readonly room: WorkerRoom,
    private readonly client: FlowSide,
    private readonly upstream: FlowSide,
    clientTls: TlsSide | undefined,
    upstreamTls: TlsSide | undefined,
  ) {
    const { counters } = room;
    this.isSecure = clientTls !== undefined || upstreamTls !== undefined;
    this.isUpSecure = isSecurePath(clientTls, upstreamTls);
    this.isDownSecure = isSecurePath(upstreamTls, clientTls);
    const upMeter = this.isUpSecure ? counters.secureUp : counters.up;
    const downMeter = this.isDownSecure ? counters.secureDown : counters.down;
    this.up = new Pump(room, upMeter, client.transport, upstream.transport);
    this.down = new Pump(room, downMeter, upstream.transport, client.transport);
    this.up.endsSink = !this.isSecure;
    this.down.endsSink = !this.isSecure;
    client.pump = this.up;
    upstream.pump = this.down;
  }

  get isHalfOver(): boolean {
    return this.isUpOver || this.isDownOver;
  }

  /** Bytes were read that the other side has not taken. */
  get isHolding(): boolean {
    return this.up.isHolding || this.down.isHolding;
  }

  /**
   * One side is broken and its last bytes are on their way: they may arrive for as long as the other
   * side goes on taking them.
   */
  get isLingering(): boolean {
    return this.brokenSide !== undefined && this.isHolding;
  }

  /**
   * Moves what can be moved, both ways.
   * @returns why the flow is over, or `undefined` while it is not
   */
  run(): CloseReason | undefined {
    this.hasYielded = false;
    if (this.isUpOver && this.isDownOver) return this.over();
    // What is read of a client after a write to it has failed ends as with a FIN, which it is not.
    if (this.down.hasSinkFailed && !this.isDownOver) {
      const over = this.after(this.down.run(), 'upstream', this.down);
      if (over !== undefined) return over;
    }
    if (!this.isUpOver && this.up.isDue) {
      const over = this.after(this.up.run(), 'client', this.up);
      if (over !== undefined) return over;
    }
    if (!this.isDownOver && this.down.isDue) {
      const over = this.after(this.down.run(), 'upstream', this.down);
      if (over !== undefined) return over;
    }
    this.client.listenAgain();
    this.upstream.listenAgain();
    return undefined;
  }

  /**
   * A side was reported broken. While its pump can read, the read says how, after the last bytes;
   * where that direction is over, or its sink takes nothing, nobody else would ever find out.
   *
   * @returns why the flow is over, or `undefined` while it is not
   */
  reportBroken(name: SideName): CloseReason | undefined {
    const isOver = name === 'client' ? this.isUpOver : this.isDownOver;
    const side = this.sideOf(name);
    if (!isOver && !side.pump!.isHolding) return undefined;
    if (takeSocketError(this.room.kernel, side.transport.fd) === 0) return undefined;
    this.broke(name);
    return isOver ? `${name}_reset` : undefined;
  }

  /** Reads and writes may be made together with those of others. */
  shareCalls(writes: LateWrites, owner: PumpOwner): void {
    this.up.shareCalls(writes, owner);
    this.down.shareCalls(writes, owner);
  }

  /** Makes the writes that were to be made later. */
  settle(): void {
    this.up.settle();
    this.down.settle();
  }

  /** Gives back what the pumps hold. */
  release(): void {
    this.up.release();
    this.down.release();
  }

  private after(result: PumpResult, source: SideName, pump: Pump): CloseReason | undefined {
    switch (result) {
      case PumpResult.Waiting:
        return undefined;
      case PumpResult.Yielded:
        this.hasYielded = true;
        return undefined;
      case PumpResult.SourceFailed:
        return `${source}_reset`;
      case PumpResult.Ended:
        if (this.brokenSide === source) return `${source}_reset`;
        pump.tap?.ended?.(true);
        return this.directionOver(source, pump.sink);
      case PumpResult.SinkFailed:
        return this.sinkFailed(source, pump);
    }
  }

  private sinkFailed(source: SideName, pump: Pump): CloseReason | undefined {
    if (!isPeerGone(pump.sink.errno)) return 'error';
    pump.release();
    // The sink's side takes no more, but its last words may be waiting: an early answer, mostly.
    this.broke(source === 'client' ? 'upstream' : 'client');
    return this.directionOver(source, undefined);
  }

  /** What a side had sent before it broke is followed by a reset, which would drop what waits for a FIN. */
  private broke(name: SideName): void {
    this.brokenSide = name;
    this.sideOf(name).pump!.endsSink = false;
  }

  private sideOf(name: SideName): FlowSide {
    return name === 'client' ? this.client : this.upstream;
  }

  /** @param sink where a FIN belongs, after every byte before it has gone */
  private directionOver(source: SideName, sink: Transport | undefined): CloseReason | undefined {
    if (source === 'client') this.isUpOver = true;
    else this.isDownOver = true;
    const isOver = this.isUpOver && this.isDownOver;
    // A plain socket says it when it is closed. A shutdown that fails has met a reset: the other
    // direction's read will say so.
    if (!isOver || this.isSecure) sink?.shutdownWrite();
    return isOver ? this.over() : undefined;
  }

  /** Both directions are over: the flow is, as soon as both ends have been told. */
  private over(): CloseReason | undefined {
    if (this.brokenSide !== undefined) return `${this.brokenSide}_reset`;
    const isClosing = this.client.transport.isClosing || this.upstream.transport.isClosing;
    return isClosing ? undefined : 'done';
  }
}

/** Writing found the connection dead: events will say the rest. Any other error leaves it alive. */
export function isPeerGone(errno: number): boolean {
  // EPROTO: an alert has ended the TLS connection, or a record that was none.
  const isBroken = errno === Errno.EPIPE || errno === Errno.ECONNRESET || errno === Errno.EPROTO;
  return isBroken || errno === Errno.ETIMEDOUT;
}
