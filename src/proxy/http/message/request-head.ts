import { Authority } from './authority.js';
import { CASE_BIT, CR, isToken, isWhiteSpace, LF, SP } from './characters.js';
import { mayEnd } from './head-end.js';
import { HeaderName } from './header-name.js';
import { HttpRejection, PARTIAL } from './http-rejection.js';
import { Framing, MessageHead } from './message-head.js';
import { METHOD_BYTES_MAX, Method, methodNames, methodOf } from './method.js';
import { RequestTarget, Scheme, TargetForm } from './request-target.js';
import { readVersion, VERSION_BYTES } from './version.js';

/** `limits` of the configuration, as far as heads are concerned. */
export interface HeadLimits {
  /** Bytes of a head, first and empty line included. */
  readonly headBytes: number;
  /** Fields of a head. */
  readonly headers: number;
}

/** RFC 9112 §2.2 wants one passed over; some clients send one too many behind a body. */
const EMPTY_LINES_MAX = 4;

/**
 * The head of a request (RFC 9112 §3 and §5), checked as strictly as a proxy must: what is accepted here
 * is framed in the same way by every server that knows the grammar.
 *
 * One object per worker: its fields hold until the next {@link parse}, and only as long as the bytes do.
 */
export class RequestHead extends MessageHead {
  /** Also of a head that was rejected behind it. */
  method: Method = Method.other;
  methodStart = 0;
  methodEnd = 0;
  readonly target = new RequestTarget();
  /**
   * Whom the request is for: the target's authority when it has one, otherwise Host. Undefined only for
   * HTTP/1.0 without Host.
   */
  authority: Authority | undefined;
  /** The client waits for a 100 before it sends the body. */
  expectsContinue = false;
  /** Asked for by Connection and Upgrade together, and possible. To what, the Upgrade field says. */
  wantsUpgrade = false;
  private readonly host = new Authority();

  constructor({ headers, headBytes }: HeadLimits) {
    super(headers, headBytes);
  }

  /**
   * Parses the head at the beginning of bytes[start, end), and empty lines before it.
   *
   * A head that comes in pieces is parsed again from its beginning, but only once it can be whole:
   * `seenBytes` says how far it was searched for its end already. So a head that comes byte by byte is
   * looked at three times, not thousands; and between its bytes there is nothing to keep.
   *
   * @param seenBytes bytes from `start` on for which the answer was PARTIAL before; 0 at first
   * @returns bytes of the head, PARTIAL, or a negative rejection. A prefix of a good head is PARTIAL; the
   *   bytes of a bad one are rejected when the fault comes or at the latest when the head is whole, for the same
   *   reason.
   */
  parse(bytes: Buffer, start: number, end: number, seenBytes = 0): number {
    const isCut = end - start >= this.bytesMax;
    const limit = isCut ? start + this.bytesMax : end;
    if (seenBytes > 0 && !isCut && !mayEnd(bytes, start, start + seenBytes, limit)) return PARTIAL;
    this.clear(bytes, start);
    this.method = Method.other;
    this.authority = undefined;
    this.expectsContinue = false;
    this.wantsUpgrade = false;
    const lineEnd = this.parseRequestLine(bytes, start, limit);
    if (lineEnd <= 0)
      return isCut && lineEnd === PARTIAL ? -HttpRejection.target_too_long : lineEnd;
    const headEnd = this.parseFields(bytes, lineEnd, limit);
    if (headEnd <= 0) return isCut && headEnd === PARTIAL ? -HttpRejection.head_too_large : headEnd;
    this.end = headEnd;
    const fault = this.conclude(bytes);
    return fault < 0 ? fault : headEnd - start;
  }

  /** The method as it was sent. */
  get methodName(): string {
    return this.method === Method.other
      ? this.text(this.methodStart, this.methodEnd)
      : methodNames[this.method]!;
  }

  /** The request target as it was sent. */
  get targetText(): string {
    return this.text(this.target.start, this.target.end);
  }

  /** The path without query as it was sent; empty for CONNECT, and perhaps for an absolute form. */
  get path(): string {
    return this.text(this.target.pathStart, this.target.pathEnd);
  }

  /** What follows the `?`; empty without one. */
  get query(): string {
    return this.text(this.target.queryStart, this.target.queryEnd);
  }

  /** Name or address without port, in lower case, without a dot at its end; empty without authority. */
  get hostName(): string {
    const { authority } = this;
    if (authority === undefined) return '';
    const name = this.text(authority.hostStart, authority.hostEnd).toLowerCase();
    return name.endsWith('.') ? name.slice(0, -1) : name;
  }

  /** What the client accepts, as it says it. */
  get accept(): string | undefined {
    const index = this.find(HeaderName.accept);
    return index < 0 ? undefined : this.value(index);
  }

  /** @returns where the line ends, PARTIAL, or a negative rejection */
  private parseRequestLine(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (let lines = 0; lines < EMPTY_LINES_MAX && at < end && bytes[at] === CR; lines++) {
      if (at + 1 === end) return PARTIAL;
      if (bytes[at + 1] !== LF) return -HttpRejection.bare_cr;
      at += 2;
    }
    if (at === end) return PARTIAL;
    this.methodStart = at;
    while (at < end && isToken[bytes[at]!] === 1) at++;
    if (at - this.methodStart > METHOD_BYTES_MAX) return -HttpRejection.method_too_long;
    if (at === end) return PARTIAL;
    if (at === this.methodStart) return -beginningFault(bytes[at]!);
    if (bytes[at] !== SP) return -methodFault(bytes[at]!);
    this.methodEnd = at;
    const method = methodOf(bytes, this.methodStart, at);
    if (method < 0) return method;
    this.method = method as Method;
    // No method but the begin of HTTP/2, whatever follows.
    if (method === Method.other && this.methodName === 'PRI') return -HttpRejection.http_2_preface;
    const targetEnd = this.target.parse(bytes, at + 1, end, method);
    if (targetEnd <= 0) return targetEnd;
    if (bytes[targetEnd] !== SP) return -targetFault(bytes[targetEnd]!);
    return this.parseVersion(bytes, targetEnd + 1, end);
  }

  private parseVersion(bytes: Buffer, start: number, end: number): number {
    const minor = readVersion(this.view, bytes, start, end, CR);
    if (minor < 0 || start + VERSION_BYTES >= end) return Math.min(minor, PARTIAL);
    this.minorVersion = minor;
    const at = start + VERSION_BYTES;
    if (at + 1 === end) return PARTIAL;
    return bytes[at + 1] === LF ? at + 2 : -HttpRejection.bare_cr;
  }

  /** What can be said only when all fields are known. @returns 0, or a negative rejection */
  private conclude(bytes: Buffer): number {
    const fault = this.concludeFraming() || this.concludeAuthority(bytes);
    if (fault < 0) return fault;
    // What follows a CONNECT was meant for the tunnel, also when there is none.
    this.keepAlive = this.wantsKeepAlive() && this.method !== Method.CONNECT;
    this.wantsUpgrade = this.connection.upgrade && this.canUpgrade();
    return this.has(HeaderName.expect) ? this.concludeExpect(bytes) : 0;
  }

  private concludeFraming(): number {
    const fault = this.checkFraming();
    if (fault < 0) return fault;
    if (this.isChunked) this.framing = Framing.chunked;
    else if (this.contentLength > 0) this.framing = Framing.length;
    const isTunnel = this.method === Method.CONNECT && this.framing !== Framing.none;
    return isTunnel ? -HttpRejection.connect_body : 0;
  }

  private concludeAuthority(bytes: Buffer): number {
    const { target, hostIndex } = this;
    const host = this.host;
    if (hostIndex < 0) {
      if (this.minorVersion === 1) return -HttpRejection.host_missing;
    } else {
      if (!host.read(bytes, this.valueStart(hostIndex), this.valueEnd(hostIndex))) {
        return -HttpRejection.host_malformed;
      }
      this.authority = host;
    }
    if (target.form !== TargetForm.absolute && target.form !== TargetForm.authority) return 0;
    this.authority = target.authority;
    if (hostIndex < 0 || target.authority.agrees(bytes, host, defaultPortOf(target.scheme)))
      return 0;
    return -HttpRejection.host_mismatch;
  }

  /**
   * A server may ignore Upgrade (RFC 9110 §7.8), and we do so for HTTP/1.0, for requests with a body, and for HTTP/2
   * without TLS: in that tunnel, requests would pass that no route has seen.
   */
  private canUpgrade(): boolean {
    if (this.minorVersion === 0 || this.framing !== Framing.none) return false;
    let at = this.find(HeaderName.upgrade);
    if (at < 0) return false;
    let isNamed = false;
    for (; at >= 0; at = this.find(HeaderName.upgrade, at + 1)) {
      const protocols = this.value(at);
      if (/\bh2c\b/i.test(protocols)) return false;
      isNamed ||= !EMPTY_LIST.test(protocols);
    }
    return isNamed;
  }

  private concludeExpect(bytes: Buffer): number {
    let isAsked = false;
    for (
      let at = this.find(HeaderName.expect);
      at >= 0;
      at = this.find(HeaderName.expect, at + 1)
    ) {
      const asked = isContinue(bytes, this.valueStart(at), this.valueEnd(at));
      if (!asked && !EMPTY_LIST.test(this.value(at))) return -HttpRejection.expectation_unknown;
      isAsked ||= asked;
    }
    // RFC 9110 §10.1.1: not from HTTP/1.0, and without a body there is nothing to wait for.
    this.expectsContinue = isAsked && this.minorVersion === 1 && this.framing !== Framing.none;
    return 0;
  }
}

/** What `byte` says that stands where a method should have begun. */
function beginningFault(byte: number): HttpRejection {
  if (byte === LF) return HttpRejection.bare_lf;
  return isWhiteSpace(byte) ? HttpRejection.request_line_malformed : HttpRejection.not_http;
}

/** What `byte` says that stands where the method should have ended. */
function methodFault(byte: number): HttpRejection {
  if (byte === LF) return HttpRejection.bare_lf;
  return byte === CR ? HttpRejection.request_line_malformed : HttpRejection.method_malformed;
}

/** The same behind a target. */
function targetFault(byte: number): HttpRejection {
  if (byte === LF) return HttpRejection.bare_lf;
  return byte === CR ? HttpRejection.version_missing : HttpRejection.target_malformed;
}

function defaultPortOf(scheme: Scheme): number {
  if (scheme === Scheme.http) return 80;
  return scheme === Scheme.https ? 443 : -1;
}

const CONTINUE = '100-continue';
/** RFC 9110 §5.6.1.2: elements that are empty are none, and a list of none expects nothing. */
const EMPTY_LIST = /^[\t ,]*$/;

function isContinue(bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== CONTINUE.length) return false;
  for (let index = 0; index < CONTINUE.length; index++) {
    const byte = bytes[start + index]!;
    const letter = CONTINUE.charCodeAt(index);
    if (byte !== letter && (letter < 0x61 || (byte | CASE_BIT) !== letter)) return false;
  }
  return true;
}
