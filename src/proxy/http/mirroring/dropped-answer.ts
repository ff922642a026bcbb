import { Outcome, type Transport } from '../../../splice/index.js';
import { DISCARD_BYTES } from '../../mirror/index.js';
import type { HttpRoom } from '../http-room.js';
import { Intake } from '../intake.js';
import { ChunkScanner, Framing, keepAliveMs, type Method, PARTIAL } from '../message/index.js';

/** What reading a response to nobody came to. */
export const DropResult = {
  /** There is more of it to come. */
  Waiting: 0,
  /** There may be more of it already: go on next turn, unasked. */
  Yielded: 1,
  /** It is over, to the last byte. */
  Ended: 2,
  /** The connection broke or ended too early, or it is no response. */
  Broken: 3,
} as const;
export type DropResult = (typeof DropResult)[keyof typeof DropResult];

/** Reads before others get their turn. */
const READS_A_TURN_MAX = 16;

/**
 * A response that nobody reads: only its end matters, because behind it the connection may carry another
 * request.
 *
 * ```
 *   head ──interim──▶ head ──▶ body: dropped by length, chunk by chunk, or up to the end
 * ```
 */
export class DroppedAnswer {
  /** The connection may be used again; known when it has ended. */
  keepsConnection = false;
  /** For how long it may be idle before that; see {@link keepAliveMs}. */
  patienceMs = Number.POSITIVE_INFINITY;
  private readonly intake: Intake;
  private isBody = false;
  private framing: Framing = Framing.none;
  /** Bytes of the body to come, where they need not be looked at. */
  private stretch = 0;
  private scanner: ChunkScanner | undefined;

  /** @param method of the request: the length of some responses follows from it */
  constructor(
    private readonly room: HttpRoom,
    private readonly method: Method,
  ) {
    this.intake = new Intake(room.buffers);
  }

  /** Drops what has come. */
  read(transport: Transport): DropResult {
    for (let reads = 0; ; reads++) {
      const used = this.intake.length > 0 ? this.use() : DropResult.Waiting;
      if (used === DropResult.Broken) return used;
      if (this.isOver) return this.finish();
      if (!transport.readable) {
        this.intake.settle();
        return DropResult.Waiting;
      }
      if (reads === READS_A_TURN_MAX) return DropResult.Yielded;
      const read = this.readMore(transport);
      if (read > 0 || read === Outcome.Blocked) continue;
      const isEnd = read === Outcome.Eof && this.isBody && this.framing === Framing.until_close;
      return isEnd ? DropResult.Ended : DropResult.Broken;
    }
  }

  release(): void {
    this.intake.release();
  }

  private get isOver(): boolean {
    if (!this.isBody) return false;
    return this.framing === Framing.chunked ? this.scanner!.isDone : this.stretch === 0;
  }

  private finish(): DropResult {
    // Nobody has asked for what is behind it.
    if (this.intake.length > 0) this.keepsConnection = false;
    this.intake.release();
    return DropResult.Ended;
  }

  private readMore(transport: Transport): number {
    const { intake, scanner } = this;
    const length = scanner === undefined ? this.stretch : scanner.dataBytes;
    if (length === 0) return intake.fill(transport);
    const dropped = transport.discard(Math.min(length, DISCARD_BYTES));
    if (dropped > 0) {
      if (scanner === undefined) this.stretch -= dropped;
      else scanner.skip(dropped);
    }
    return dropped;
  }

  /** Takes what was read. @returns Waiting or Broken */
  private use(): DropResult {
    const { intake } = this;
    while (!this.isBody) {
      const result = this.useHead();
      if (result <= 0) return result === PARTIAL ? DropResult.Waiting : DropResult.Broken;
      if (intake.length === 0) return DropResult.Waiting;
    }
    if (this.scanner === undefined) {
      const taken = Math.min(intake.length, this.stretch);
      this.stretch -= taken;
      intake.consume(taken);
    } else if (!this.scanner.isDone) {
      const taken = this.scanner.scan(intake.buffer!.bytes, intake.start, intake.end);
      if (taken < 0) return DropResult.Broken;
      intake.consume(taken);
    }
    if (intake.length === 0) intake.release();
    return DropResult.Waiting;
  }

  /** @returns as `ResponseHead.parse` */
  private useHead(): number {
    const { intake } = this;
    const { start, end, seenBytes } = intake;
    const head = this.room.droppedResponse;
    const result = head.parse(intake.buffer!.bytes, start, end, this.method, seenBytes);
    if (result === PARTIAL) intake.seenBytes = end - start;
    if (result <= 0) return result;
    intake.consume(head.end - start);
    if (head.isInterim) return result;
    // Nobody was asked to switch.
    if (head.framing === Framing.tunnel) return -1;
    this.isBody = true;
    this.framing = head.framing;
    this.patienceMs = keepAliveMs(head);
    this.keepsConnection = head.keepAlive && head.framing !== Framing.until_close;
    if (head.framing === Framing.chunked) {
      this.scanner = new ChunkScanner();
      this.scanner.begin();
    } else if (head.framing === Framing.length) this.stretch = head.contentLength;
    else this.stretch = head.framing === Framing.until_close ? Number.POSITIVE_INFINITY : 0;
    return result;
  }
}
