import { Outcome, PumpSlot, type Transport } from '../../splice/index.js';
import { BodyRelay, RelayResult } from './body-relay.js';
import type { HttpRejection } from './http-rejection.js';
import { PARTIAL } from './http-rejection.js';
import type { HttpRoom } from './http-room.js';
import { Intake } from './intake.js';
import { Framing } from './message-head.js';
import type { Method } from './method.js';

/** What reading a response's head came to. */
export const HeadResult = {
  /** Not whole yet. */
  NeedMore: 0,
  /** `HttpRoom.response` has it, until something else is parsed. */
  Whole: 1,
  /** The connection ended or broke before the head was whole. */
  Broken: 2,
  /** It is no head; {@link ClientResponse.rejection} says why. */
  Rejected: 3,
} as const;
export type HeadResult = (typeof HeadResult)[keyof typeof HeadResult];

/**
 * A response on its way from an endpoint to the client, or an answer of our own.
 */
export class ClientResponse {
  readonly body: BodyRelay;
  rejection: HttpRejection | undefined;
  /** What came of the response and was not used yet. */
  private readonly intake: Intake;

  constructor(private readonly room: HttpRoom) {
    this.intake = new Intake(room.buffers);
    this.body = new BodyRelay(room, room.worker.counters.down);
  }

  /** Nothing has come yet. */
  get isUntouched(): boolean {
    return this.intake.length === 0;
  }

  /** There are bytes behind the response. */
  get hasSurplus(): boolean {
    return this.intake.length > 0 || this.body.hasSurplus;
  }

  /** Looks for a head in what is there, and in what comes. */
  readHead(upstream: Transport, method: Method): HeadResult {
    const { intake, room } = this;
    for (;;) {
      if (intake.length > intake.seenBytes) {
        const { bytes } = intake.buffer!;
        const { start, end, seenBytes } = intake;
        const result = room.response.parse(bytes, start, end, method, seenBytes);
        if (result > 0) return HeadResult.Whole;
        if (result < 0) {
          this.rejection = -result as HttpRejection;
          return HeadResult.Rejected;
        }
        if (result === PARTIAL) intake.seenBytes = end - start;
      }
      if (!upstream.readable) {
        intake.settle();
        return HeadResult.NeedMore;
      }
      const read = intake.fill(upstream);
      if (read === Outcome.Eof || read === Outcome.Failed) return HeadResult.Broken;
    }
  }

  /**
   * Sends the head that was parsed last, and what is there of the body, to the client.
   *
   * @param headBytes length of the head as the client gets it, in `HttpBuffers.output`
   * @param isUnchunked the client knows no chunks
   * @returns Malformed without anything sent, SinkFailed, Ended, or Waiting: more goes by {@link push}
   */
  send(
    client: Transport,
    upstream: Transport,
    headBytes: number,
    isUnchunked: boolean,
  ): RelayResult {
    const { intake, body, room } = this;
    const head = room.response;
    intake.consume(head.end - intake.start);
    body.begin(head.framing, head.contentLength, isUnchunked);
    body.join(upstream, client);
    const { bytes } = intake.buffer!;
    const bodyStart = intake.start;
    const taken =
      head.framing === Framing.tunnel ? intake.length : body.admit(bytes, bodyStart, intake.end);
    if (taken < 0) {
      body.rejection = -taken as HttpRejection;
      return RelayResult.Malformed;
    }
    const bodyBytes = head.framing === Framing.tunnel ? taken : body.admitted;
    intake.consume(taken);
    return this.deliver(client, headBytes, bodyStart, bodyBytes);
  }

  /** Passes over an informational head; the response is still to come. */
  skipHead(): void {
    this.intake.consume(this.room.response.end - this.intake.start);
  }

  /** Sends an informational head; the response is still to come. */
  sendInterim(client: Transport, headBytes: number): RelayResult {
    this.skipHead();
    this.body.begin(Framing.none, 0);
    this.body.join(client, client);
    return this.sendOutput(client, headBytes);
  }

  /** Sends an answer of our own. */
  sendOwn(client: Transport, answer: Buffer): RelayResult {
    const { buffers } = this.room;
    this.body.begin(Framing.none, 0);
    this.body.join(client, client);
    const memory = buffers.takeFor(answer.length);
    answer.copy(memory.bytes);
    this.body.hold(memory, 0, answer.length, true);
    return this.body.run();
  }

  /** Sends what can be sent now. */
  push(): RelayResult {
    return this.body.run();
  }

  /** Gives back what is held. */
  release(): void {
    this.body.release();
    this.intake.release();
  }

  private deliver(
    client: Transport,
    headBytes: number,
    bodyStart: number,
    bodyBytes: number,
  ): RelayResult {
    if (bodyBytes === 0) return this.sendOutput(client, headBytes);
    const { intake } = this;
    const { output } = this.room.buffers;
    const buffer = intake.buffer!;
    const start = bodyStart - headBytes;
    // The head goes right before the body, over the one that came: one piece, one system call.
    if (start >= 0) {
      output.bytes.copy(buffer.bytes, start, 0, headBytes);
      const total = headBytes + bodyBytes;
      const written = this.write(client, buffer.address + start, total);
      if (written === Outcome.Failed) return RelayResult.SinkFailed;
      if (written === total) return this.sent();
      // What is behind the body would be lost with the buffer.
      if (intake.length > 0) this.body.hasSurplus = true;
      this.body.hold(intake.surrender(), start + written, start + total, true);
      return RelayResult.Waiting;
    }
    return this.deliverApart(headBytes, bodyStart, bodyBytes);
  }

  /** The head grew so much that there is no room for it before the body. */
  private deliverApart(headBytes: number, bodyStart: number, bodyBytes: number): RelayResult {
    const { buffers } = this.room;
    const total = headBytes + bodyBytes;
    const memory = buffers.takeFor(total);
    buffers.output.bytes.copy(memory.bytes, 0, 0, headBytes);
    this.intake.buffer!.bytes.copy(memory.bytes, headBytes, bodyStart, bodyStart + bodyBytes);
    this.body.hold(memory, 0, total, true);
    return this.body.run();
  }

  private sendOutput(client: Transport, length: number): RelayResult {
    const { buffers } = this.room;
    const { output } = buffers;
    const written = this.write(client, output.address, length);
    if (written === Outcome.Failed) return RelayResult.SinkFailed;
    if (written === length) return this.sent();
    const memory = buffers.takeFor(length - written);
    output.bytes.copy(memory.bytes, 0, written, length);
    this.body.hold(memory, 0, length - written, true);
    return RelayResult.Waiting;
  }

  private sent(): RelayResult {
    this.intake.settle();
    if (!this.body.isRead) return RelayResult.Waiting;
    this.body.isOver = true;
    return RelayResult.Ended;
  }

  /** @returns bytes written, 0 for none now, or Failed */
  private write(client: Transport, address: number, length: number): number {
    if (!client.writable || this.body.isHolding) return 0;
    const written = client.write(address, length);
    if (written === Outcome.Blocked) return 0;
    if (written > 0) {
      const meter = this.room.worker.counters.down;
      meter[PumpSlot.CopyBytes]! += written;
      meter[PumpSlot.CopyOperations]!++;
    }
    return written;
  }
}
