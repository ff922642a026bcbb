import { CR, DIGIT_0, DIGIT_9, LF, SP } from './characters.js';
import { mayEnd } from './head-end.js';
import { HttpRejection, PARTIAL } from './http-rejection.js';
import { Framing, MessageHead } from './message-head.js';
import { Method } from './method.js';
import type { HeadLimits } from './request-head.js';
import { readVersion, VERSION_BYTES } from './version.js';
import { skipFieldValue } from './words.js';

const STATUS_DIGITS = 3;

/**
 * The head of a response (RFC 9112 §4 and §5), and what follows from it and from the request's method for
 * the body.
 *
 * One object per worker: its fields hold until the next {@link parse}, and only as long as the bytes do.
 */
export class ResponseHead extends MessageHead {
  /** 100 to 999. Below 200 another response follows, but for 101. */
  status = 0;
  /** `reason-phrase`, which may be empty. */
  reasonStart = 0;
  reasonEnd = 0;

  constructor({ headers, headBytes }: HeadLimits) {
    super(headers, headBytes);
  }

  /** An informational response that others follow: 1xx but 101 (RFC 9110 §15.2). */
  get isInterim(): boolean {
    return this.status < 200 && this.status !== 101;
  }

  get reason(): string {
    return this.text(this.reasonStart, this.reasonEnd);
  }

  /**
   * Parses the head at the beginning of bytes[start, end); see {@link RequestHead.parse}. No empty line may
   * come before it.
   *
   * @param method of the request that is answered
   * @param seenBytes bytes from `start` on for which the answer was PARTIAL before; 0 at first
   * @returns bytes of the head, PARTIAL, or a negative rejection
   */
  parse(bytes: Buffer, start: number, end: number, method: Method, seenBytes = 0): number {
    const isCut = end - start >= this.bytesMax;
    const limit = isCut ? start + this.bytesMax : end;
    if (seenBytes > 0 && !isCut && !mayEnd(bytes, start, start + seenBytes, limit)) return PARTIAL;
    this.clear(bytes, start);
    const lineEnd = this.parseStatusLine(bytes, start, limit);
    const headEnd = lineEnd > 0 ? this.parseFields(bytes, lineEnd, limit) : lineEnd;
    if (headEnd <= 0) return isCut && headEnd === PARTIAL ? -HttpRejection.head_too_large : headEnd;
    this.end = headEnd;
    const fault = this.concludeFraming(method);
    return fault < 0 ? fault : headEnd - start;
  }

  /** @returns where the line ends, PARTIAL, or a negative rejection */
  private parseStatusLine(bytes: Buffer, start: number, end: number): number {
    const minor = readVersion(this.view, bytes, start, end, SP);
    let at = start + VERSION_BYTES;
    if (minor < 0 || at >= end) return Math.min(minor, PARTIAL);
    this.minorVersion = minor;
    this.status = 0;
    at++;
    for (const digits = at + STATUS_DIGITS; at < digits; at++) {
      if (at === end) return PARTIAL;
      const byte = bytes[at]!;
      if (byte < DIGIT_0 || byte > DIGIT_9) return -HttpRejection.status_line_malformed;
      this.status = this.status * 10 + byte - DIGIT_0;
    }
    if (this.status < 100) return -HttpRejection.status_line_malformed;
    if (at === end) return PARTIAL;
    // The space belongs to the grammar even when no reason follows; many leave it out.
    if (bytes[at] === SP) at++;
    else if (bytes[at] !== CR) return -lineFault(bytes[at]!, HttpRejection.status_line_malformed);
    this.reasonStart = at;
    at = skipFieldValue(this.view, at, end);
    if (at === end) return PARTIAL;
    if (bytes[at] !== CR) return -lineFault(bytes[at]!, HttpRejection.control_character);
    this.reasonEnd = at;
    if (at + 1 === end) return PARTIAL;
    return bytes[at + 1] === LF ? at + 2 : -HttpRejection.bare_cr;
  }

  /** RFC 9112 §6.3, in its order. @returns 0, or a negative rejection */
  private concludeFraming(method: Method): number {
    const { status } = this;
    this.keepAlive = this.wantsKeepAlive();
    const isTunnel = status === 101 || (method === Method.CONNECT && status >= 200 && status < 300);
    const hasFraming = this.isChunked || this.contentLength >= 0;
    if (status < 200 && (this.isChunked || this.contentLength > 0)) {
      return -HttpRejection.informational_framing;
    }
    const fault = this.checkFraming();
    if (fault < 0) return fault;
    if (isTunnel) {
      this.framing = Framing.tunnel;
      this.keepAlive = false;
      return 0;
    }
    if (status < 200 || status === 204) {
      // Who announces a body that must not be may also send it: nothing else can be read behind it.
      if (hasFraming && this.contentLength !== 0) this.keepAlive = false;
      return 0;
    }
    if (method === Method.HEAD || status === 304) return 0;
    if (this.isChunked) this.framing = Framing.chunked;
    else if (this.contentLength > 0) this.framing = Framing.length;
    else if (this.contentLength < 0) {
      this.framing = Framing.until_close;
      this.keepAlive = false;
    }
    return 0;
  }
}

/** LF has a name of its own wherever it comes without CR. */
function lineFault(byte: number, otherwise: HttpRejection): HttpRejection {
  return byte === LF ? HttpRejection.bare_lf : otherwise;
}
