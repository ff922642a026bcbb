import { type NativeMemory, Outcome, PumpSlot, type Transport } from '../../splice/index.js';
import { BodyRelay, RelayResult } from './body-relay.js';
import { HeaderName } from './header-name.js';
import type { HttpRoom } from './http-room.js';
import type { HttpService } from './http-service.js';
import type { Intake } from './intake.js';
import { Framing } from './message-head.js';
import { Method } from './method.js';

/** What a head may grow by at least: fields that are added. */
const GROWTH_BYTES = 8 * 1024;

/** RFC 9110 §9.2.2: done twice, it comes to the same. */
const idempotent: ReadonlySet<Method> = new Set([
  Method.GET,
  Method.HEAD,
  Method.PUT,
  Method.DELETE,
  Method.OPTIONS,
  Method.TRACE,
]);

/**
 * A request on its way to an endpoint. Its head, and as much of its body as came with it, are kept in
 * one block of memory until there is an answer: they go out in one piece, and can go out again.
 */
export class UpstreamRequest {
  /** The body, but for what is in the block. */
  readonly body: BodyRelay;
  isIdempotent = false;
  /** Some of it was handed to the present connection: the endpoint may have acted on it. */
  wasSent = false;
  /** The endpoint broke off before it had all of it. */
  isAbandoned = false;
  private block: NativeMemory | undefined;
  private blockBytes = 0;

  constructor(private readonly room: HttpRoom) {
    this.body = new BodyRelay(room, room.worker.counters.up);
  }

  /** All of it has been handed over. */
  get isOver(): boolean {
    return this.body.isOver && !this.isAbandoned;
  }

  /** It can be sent once more: none of the body is gone. */
  get isRepeatable(): boolean {
    return this.block !== undefined && !this.body.hasRead;
  }

  /** Bytes of the body so far. */
  get bodyBytes(): number {
    return this.body.bytes;
  }

  /**
   * Takes the head that was parsed last, rewritten, and what is there of the body.
   *
   * @param service writes the head as the endpoint gets it
   * @returns 0, or a negative rejection: the body's chunks are none; TOO_LONG
   */
  compose(intake: Intake, service: HttpService): number {
    const { room, body } = this;
    const head = room.request;
    const { bytes } = intake.buffer!;
    const bodyStart = head.end;
    body.begin(head.framing, head.contentLength);
    body.surplus = intake;
    const taken = head.framing === Framing.none ? 0 : body.admit(bytes, bodyStart, intake.end);
    if (taken < 0) return taken;
    const mostBytes = bodyStart - head.start + GROWTH_BYTES + taken;
    const block = room.buffers.takeFor(mostBytes);
    this.block = block;
    const headBytes = service.writeRequest(head, block.bytes);
    if (headBytes < 0) return headBytes;
    if (headBytes + taken > block.byteLength) return TOO_LONG;
    if (taken > 0) bytes.copy(block.bytes, headBytes, bodyStart, bodyStart + taken);
    this.blockBytes = headBytes + taken;
    this.isIdempotent = idempotent.has(head.method);
    this.wasSent = false;
    this.isAbandoned = false;
    intake.consume(bodyStart - intake.start + taken);
    return 0;
  }

  /** Sends it on a connection; more of it goes by {@link push}. */
  send(client: Transport, upstream: Transport): RelayResult {
    const { body, blockBytes } = this;
    const block = this.block!;
    body.join(client, upstream);
    const written = upstream.writable ? upstream.write(block.address, blockBytes) : Outcome.Blocked;
    this.wasSent = written > 0;
    if (written === blockBytes) {
      const meter = this.room.worker.counters.up;
      meter[PumpSlot.CopyBytes]! += written;
      meter[PumpSlot.CopyOperations]!++;
      if (!body.isRead) return RelayResult.Waiting;
      body.isOver = true;
      return RelayResult.Ended;
    }
    if (written < 0 && written !== Outcome.Blocked) return RelayResult.SinkFailed;
    body.hold(block, Math.max(0, written), blockBytes, false);
    return RelayResult.Waiting;
  }

  /** Sends what can be sent now. */
  push(): RelayResult {
    const result = this.body.run();
    if (result !== RelayResult.SinkFailed) this.wasSent = true;
    return result;
  }

  /** It goes out once more, from its beginning. */
  rewind(): void {
    this.body.rewind();
    this.wasSent = false;
    this.isAbandoned = false;
  }

  /** The endpoint takes no more of it. */
  abandon(): void {
    this.body.release();
    this.isAbandoned = true;
  }

  /** What the client accepts, as long as the request is kept. */
  accept(): string | undefined {
    const { block, room } = this;
    if (block === undefined) return undefined;
    const head = room.request;
    if (head.parse(block.bytes, 0, this.blockBytes) <= 0) return undefined;
    const index = head.find(HeaderName.accept);
    return index < 0 ? undefined : head.value(index);
  }

  /** It will not be sent once more: what is kept of it is given back. */
  forget(): void {
    if (this.block === undefined || this.body.isHolding) return;
    this.room.buffers.give(this.block);
    this.block = undefined;
  }

  /** Nothing more of it goes out. */
  release(): void {
    this.body.release();
    if (this.block !== undefined) this.room.buffers.give(this.block);
    this.block = undefined;
  }
}

/** A head that grew beyond everything that was expected. */
export const TOO_LONG = -500;
