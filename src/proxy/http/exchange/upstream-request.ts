import {
  copyBytes,
  type LateSender,
  LateWrite,
  type NativeMemory,
  Outcome,
  type PumpTap,
  type Transport,
} from '../../../splice/index.js';
import { isPeerGone, type PathTaken } from '../../flow/index.js';
import type { HttpPolicy } from '../http-policy.js';
import type { HttpRoom } from '../http-room.js';
import type { Intake } from '../intake.js';
import { Framing, Method, type TrailerNames } from '../message/index.js';
import type { RequestDelivery, RequestRewriter } from '../rewriting/index.js';
import { BodyRelay, type RelaySide } from './body-relay.js';
import { RelayResult } from './relay-result.js';

/** What a head may grow by at least: fields that are added. */
const GROWTH_BYTES = 8 * 1024;

const plain: RequestDelivery = { isUpgrade: false, dropsExpect: false };
const upgrade: RequestDelivery = { isUpgrade: true, dropsExpect: false };
/** For who gets the body whatever it answers. */
const unasking: RequestDelivery = { isUpgrade: false, dropsExpect: true };

/** RFC 9110 §9.2.2: done twice, it comes to the same. */
const idempotentBits =
  (1 << Method.GET) |
  (1 << Method.HEAD) |
  (1 << Method.PUT) |
  (1 << Method.DELETE) |
  (1 << Method.OPTIONS) |
  (1 << Method.TRACE);

/** Whose request it is. */
export interface RequestOwner {
  afterRequest(result: RelayResult): void;
  onException(error: unknown): void;
}

/**
 * A request on its way to an endpoint. Its head, and as much of its body as came with it, are kept in
 * one block of memory until there is an answer: they go out in one piece, and can go out again.
 */
export class UpstreamRequest implements LateSender {
  /** The body, but for what is in the block. */
  readonly body: BodyRelay;
  /** Bytes of the head as it came. */
  headBytes = 0;
  isIdempotent = false;
  /** The client has said that no other one will follow on its connection (RFC 9112 §9.6). */
  isLast = false;
  /** Some of it was handed to the present connection: the endpoint may have acted on it. */
  wasSent = false;
  /** The endpoint broke off before it had all of it. */
  isAbandoned = false;
  private block: NativeMemory | undefined;
  private blockBytes = 0;
  /** Where in the intake's buffer the body begins, and how much of it is there. */
  private bodyStart = 0;
  private bodyTaken = 0;
  /** Who hears what came of a request that was sent late. */
  owner!: RequestOwner;
  private readonly late: LateWrite = new LateWrite(this);

  constructor(private readonly room: HttpRoom) {
    const { up, secureUp } = room.worker.counters;
    this.body = new BodyRelay(room, up, secureUp);
  }

  /** Bytes of it that came, head and body. */
  get bytes(): number {
    return this.headBytes + this.body.bytes;
  }

  /** Which way the body went. */
  get path(): PathTaken {
    return this.body.path;
  }

  /** All of it has been handed over. */
  get isOver(): boolean {
    return this.body.isOver && !this.isAbandoned;
  }

  /** It can be sent once more, as none of the body is gone, and does no harm (RFC 9110 §9.2.2). */
  get mayRepeat(): boolean {
    const isWhole = this.block !== undefined && !this.body.hasRead;
    return isWhole && (this.isIdempotent || !this.wasSent);
  }

  /**
   * Takes what is there of the request whose head was parsed last. The bytes stay where they are until the
   * intake settles.
   *
   * @param trailers fields that must not come behind the body
   * @returns 0, or a negative rejection: the body's chunks are none
   */
  take(intake: Intake, trailers: TrailerNames): number {
    const { body, room } = this;
    const { request: head } = room;
    this.headBytes = head.end - head.start;
    this.isIdempotent = ((1 << head.method) & idempotentBits) !== 0;
    this.isLast = !head.keepAlive;
    this.wasSent = false;
    this.isAbandoned = false;
    this.bodyStart = head.end;
    body.trailers = trailers;
    body.begin(head.framing, head.contentLength);
    body.surplus = intake;
    const taken =
      head.framing === Framing.none ? 0 : body.admit(intake.buffer!, this.bodyStart, intake.end);
    if (taken < 0) return taken;
    this.bodyTaken = taken;
    intake.consume(this.bodyStart - intake.start + taken);
    return 0;
  }

  /**
   * Writes what the endpoint gets: the head as the policy's route wants it, and what is there of the body.
   * @returns false when the head grew beyond everything that was expected
   */
  compose(intake: Intake, policy: HttpPolicy, isUpgrade: boolean): boolean {
    this.block = this.write(intake, policy, policy.route!.request, isUpgrade ? upgrade : plain);
    this.blockBytes = this.room.writer.length;
    return !this.room.writer.isFull;
  }

  /**
   * Gives somebody else a copy, as another rewriter wants it: what is there of it now, the rest of the body
   * when it comes.
   *
   * @returns false when the head grew beyond everything that was expected: then it was given nothing
   */
  copyTo(tap: PumpTap, intake: Intake, policy: HttpPolicy, rewriter: RequestRewriter): boolean {
    const { room, body } = this;
    const memory = this.write(intake, policy, rewriter, unasking);
    const { length, isFull } = room.writer;
    if (!isFull) tap.copied(memory.address, length);
    room.buffers.give(memory);
    if (isFull) return false;
    if (body.isRead) tap.ended?.(true);
    else body.tap = tap;
    return true;
  }

  /** Sends it on a connection; more of it goes by {@link push}. */
  send(client: RelaySide, link: RelaySide): RelayResult {
    const { body, blockBytes } = this;
    const block = this.block!;
    const { transport: upstream } = link;
    body.join(client, link);
    // What has spoken already is read behind the write, at once.
    const mayWait = body.isRead && !upstream.readable;
    if (
      mayWait &&
      this.late.offer(this.room.worker.clock.calls, upstream, block.address, blockBytes)
    )
      return RelayResult.Waiting;
    return this.wrote(
      upstream.writable ? upstream.write(block.address, blockBytes) : Outcome.Blocked,
    );
  }

  onSent(written: number): void {
    this.owner.afterRequest(this.wrote(written));
  }

  onException(error: unknown): void {
    this.owner.onException(error);
  }

  /** @param written of the block, at once: bytes, Blocked or Failed */
  private wrote(written: number): RelayResult {
    const { body, blockBytes } = this;
    const block = this.block!;
    this.wasSent = written > 0;
    if (written < 0 && written !== Outcome.Blocked) return RelayResult.SinkFailed;
    body.countCopied(blockBytes);
    if (written === blockBytes) {
      this.shrink();
      if (!body.isRead) return RelayResult.Waiting;
      body.isOver = true;
      return RelayResult.Ended;
    }
    const { start } = block;
    body.hold(block, start + Math.max(0, written), start + blockBytes, false);
    return RelayResult.Waiting;
  }

  /** Sends what can be sent now. */
  push(): RelayResult {
    if (this.late.isPending) return RelayResult.Waiting;
    const result = this.body.run();
    if (result !== RelayResult.SinkFailed) this.wasSent = true;
    this.shrink();
    return result;
  }

  /** It goes out once more, from its beginning. */
  rewind(): void {
    this.late.withdraw();
    this.body.rewind();
    this.wasSent = false;
    this.isAbandoned = false;
  }

  /**
   * The endpoint takes no more of it.
   * @returns whether it may have left an answer: an early one, mostly
   */
  abandon({ errno }: Transport): boolean {
    this.late.withdraw();
    this.body.release();
    this.isAbandoned = true;
    return isPeerGone(errno);
  }

  /** It was a CONNECT, which goes no further: a tunnel begins behind it. */
  beginTunnel(client: RelaySide, link: RelaySide, intake: Intake): void {
    this.forget();
    this.body.join(client, link);
    this.switchTo(intake);
  }

  /** The protocol is switched: what the client has sent behind the request belongs to the new one. */
  switchTo(intake: Intake): void {
    const { body, room } = this;
    body.begin(Framing.none, 0);
    const { length } = intake;
    if (length === 0) {
      body.isOver = true;
      return;
    }
    const memory = room.buffers.takeFor(length);
    copyBytes(intake.buffer!.bytes, intake.start, intake.end, memory.bytes, memory.start);
    body.hold(memory, memory.start, memory.start + length, true);
    body.bytes = length;
    intake.release();
  }

  /** What the client accepts, as long as the request is kept. */
  accept(): string | undefined {
    const { block, room } = this;
    if (block === undefined) return undefined;
    const head = room.request;
    const end = block.start + this.blockBytes;
    if (head.parse(block.bytes, block.start, end) <= 0) return undefined;
    return head.accept;
  }

  /** Gives a large block back that will not be sent once more, and keeps the head, which says what the client accepts. */
  private shrink(): void {
    const { block, body } = this;
    const { buffers } = this.room;
    if (block === undefined || block.byteLength <= buffers.blockBytes) return;
    const length = this.blockBytes - this.bodyTaken;
    if (this.mayRepeat || body.isHolding || length > buffers.blockBytes) return;
    const small = buffers.takeBlock();
    copyBytes(block.bytes, block.start, block.start + length, small.bytes, small.start);
    buffers.give(block);
    this.block = small;
    this.blockBytes = length;
  }

  /** It will not be sent once more: what is kept of it is given back. */
  forget(): void {
    if (this.block === undefined || this.body.isHolding) return;
    this.room.buffers.give(this.block);
    this.block = undefined;
  }

  /** Writes the head and what is there of the body. @returns where, for `HttpRoom.writer.length` bytes */
  private write(
    intake: Intake,
    policy: HttpPolicy,
    rewriter: RequestRewriter,
    delivery: RequestDelivery,
  ): NativeMemory {
    const { room } = this;
    const memory = room.buffers.takeFor(this.headBytes + GROWTH_BYTES + this.bodyTaken);
    const writer = room.writer.beginIn(memory);
    rewriter.write(policy, delivery, writer);
    const bodyEnd = this.bodyStart + this.bodyTaken;
    if (bodyEnd > this.bodyStart) writer.copy(intake.buffer!.bytes, this.bodyStart, bodyEnd);
    return memory;
  }

  /** Nothing more of it goes out. */
  release(): void {
    this.late.withdraw();
    this.body.release();
    if (this.block !== undefined) this.room.buffers.give(this.block);
    this.block = undefined;
  }
}
