import { Outcome, type Transport } from '../../../splice/index.js';
import type { HttpRoom } from '../http-room.js';
import { Intake } from '../intake.js';
import { type HttpRejection, type Method, PARTIAL } from '../message/index.js';

/** What reading a response's head came to. */
export const HeadResult = {
  /** Not whole yet. */
  NeedMore: 0,
  /** `HttpRoom.response` has it, until something else is parsed. */
  Whole: 1,
  /** The connection ended or broke before the head was whole. */
  Broken: 2,
  /** It is no head; {@link ResponseReader.rejection} says why. */
  Rejected: 3,
} as const;
export type HeadResult = (typeof HeadResult)[keyof typeof HeadResult];

/** Takes the heads of a response from the connection to an endpoint. */
export class ResponseReader {
  /** What came of the response and was not used yet. */
  readonly intake: Intake;
  /** Why what came is no head. */
  rejection: HttpRejection | undefined;

  constructor(private readonly room: HttpRoom) {
    this.intake = new Intake(room.buffers);
  }

  /** Begins with another response. */
  begin(): void {
    this.rejection = undefined;
  }

  /** Nothing has come yet. */
  get isUntouched(): boolean {
    return this.intake.length === 0;
  }

  /**
   * Looks for a head in what is there, and in what comes.
   * @param method of the request
   */
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
}
