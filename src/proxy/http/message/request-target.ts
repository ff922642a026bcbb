import { Authority } from './authority.js';
import {
  ASTERISK,
  CASE_BIT,
  COLON,
  hexValue,
  isPath,
  isQuery,
  PERCENT,
  QUESTION,
  SLASH,
  SP,
} from './characters.js';
import { HttpRejection, PARTIAL } from './http-rejection.js';
import { Method } from './method.js';

/** The four forms of a request target (RFC 9112 §3.2). */
export const TargetForm = {
  /** `/path?query`. */
  origin: 0,
  /** `http://host:port/path?query`, as sent to proxies. */
  absolute: 1,
  /** `host:port`, with CONNECT and nothing else. */
  authority: 2,
  /** `*`, with OPTIONS and nothing else. */
  asterisk: 3,
} as const;
export type TargetForm = (typeof TargetForm)[keyof typeof TargetForm];

/** Scheme of an absolute form; otherwise it follows from the connection. */
export const Scheme = { none: 0, http: 1, https: 2 } as const;
export type Scheme = (typeof Scheme)[keyof typeof Scheme];

const SCHEME_BYTES_MAX = 'https'.length;

/** A request target, as offsets into the head it is in. */
export class RequestTarget {
  form: TargetForm = TargetForm.origin;
  scheme: Scheme = Scheme.none;
  start = 0;
  end = 0;
  /** Of the absolute and authority forms; otherwise left over from another target. */
  readonly authority = new Authority();
  /** An absolute form may have an empty path, which means `/` (OPTIONS: `*`, RFC 9112 §3.2.4). */
  pathStart = 0;
  pathEnd = 0;
  /** Behind the `?`; without a query both are `pathEnd`. */
  queryStart = 0;
  queryEnd = 0;
  /** The path contains percent-encoding; each is a `%` with two hexadecimal digits. */
  hasEscapes = false;

  /**
   * Reads the target that begins at `start`.
   *
   * @returns where the byte is that is no part of it (the caller wants a space there), PARTIAL when it may go on,
   *   or a negative rejection
   */
  parse(bytes: Buffer, start: number, end: number, method: number): number {
    if (start === end) return PARTIAL;
    this.start = start;
    this.scheme = Scheme.none;
    this.hasEscapes = false;
    if (method === Method.CONNECT) return this.parseAuthority(bytes, start, end);
    const first = bytes[start]!;
    if (first === SLASH) {
      this.form = TargetForm.origin;
      return this.parsePath(bytes, start, end);
    }
    if (first === ASTERISK) return this.parseAsterisk(bytes, start, end, method);
    return this.parseAbsolute(bytes, start, end);
  }

  /** `authority-form`: RFC 9110 §9.3.6 wants host and port, nothing else. */
  private parseAuthority(bytes: Buffer, start: number, end: number): number {
    this.form = TargetForm.authority;
    if (bytes[start] === SLASH || bytes[start] === ASTERISK) return -HttpRejection.target_form;
    let at = start;
    while (at < end && isQuery[bytes[at]!] === 1) at++;
    if (at === end) return PARTIAL;
    const { authority } = this;
    if (!authority.read(bytes, start, at) || authority.port < 1) {
      return -HttpRejection.target_authority;
    }
    this.pathStart = at;
    this.endAt(at, at, at);
    return at;
  }

  private parseAsterisk(bytes: Buffer, start: number, end: number, method: number): number {
    this.form = TargetForm.asterisk;
    if (method !== Method.OPTIONS) return -HttpRejection.target_form;
    if (start + 1 === end) return PARTIAL;
    if (bytes[start + 1] !== SP) return -HttpRejection.target_malformed;
    this.pathStart = start;
    this.endAt(start + 1, start + 1, start + 1);
    return start + 1;
  }

  private parseAbsolute(bytes: Buffer, start: number, end: number): number {
    this.form = TargetForm.absolute;
    let at = start;
    while (at < end && at - start <= SCHEME_BYTES_MAX && isSchemeByte(bytes[at]!)) at++;
    if (at - start > SCHEME_BYTES_MAX) return -HttpRejection.target_scheme;
    if (at === end) return PARTIAL;
    if (bytes[at] !== COLON || at === start) return -HttpRejection.target_malformed;
    this.scheme = schemeOf(bytes, start, at);
    if (this.scheme === Scheme.none) return -HttpRejection.target_scheme;
    for (const slashes = at + 2; at < slashes; ) {
      at++;
      if (at === end) return PARTIAL;
      if (bytes[at] !== SLASH) return -HttpRejection.target_malformed;
    }
    const authorityAt = ++at;
    while (at < end && isPath[bytes[at]!] === 1 && bytes[at] !== SLASH) at++;
    if (at === end) return PARTIAL;
    if (!this.authority.read(bytes, authorityAt, at)) return -HttpRejection.target_authority;
    if (bytes[at] === SLASH) return this.parsePath(bytes, at, end);
    this.pathStart = at;
    this.pathEnd = at;
    if (bytes[at] === QUESTION) return this.parseQuery(bytes, at + 1, end);
    this.endAt(at, at, at);
    return at;
  }

  private parsePath(bytes: Buffer, start: number, end: number): number {
    this.pathStart = start;
    let at = start;
    for (;;) {
      while (at < end && isPath[bytes[at]!] === 1) at++;
      if (at === end) return PARTIAL;
      if (bytes[at] !== PERCENT) break;
      for (const digits = at + 2; at < digits; ) {
        at++;
        if (at === end) return PARTIAL;
        if (hexValue[bytes[at]!] === 0xff) return -HttpRejection.target_malformed;
      }
      this.hasEscapes = true;
      at++;
    }
    if (bytes[at] === QUESTION) {
      this.pathEnd = at;
      return this.parseQuery(bytes, at + 1, end);
    }
    this.endAt(at, at, at);
    return at;
  }

  private parseQuery(bytes: Buffer, start: number, end: number): number {
    let at = start;
    while (at < end && isQuery[bytes[at]!] === 1) at++;
    if (at === end) return PARTIAL;
    this.endAt(this.pathEnd, start, at);
    return at;
  }

  private endAt(pathEnd: number, queryStart: number, end: number): void {
    this.pathEnd = pathEnd;
    this.queryStart = queryStart;
    this.queryEnd = end;
    this.end = end;
  }
}

/** `ALPHA / DIGIT / "+" / "-" / "."` (RFC 3986 §3.1). */
function isSchemeByte(byte: number): boolean {
  const lower = byte | CASE_BIT;
  if (lower >= 0x61 && lower <= 0x7a) return true;
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}

function schemeOf(bytes: Buffer, start: number, end: number): Scheme {
  const scheme = bytes.toString('latin1', start, end).toLowerCase();
  if (scheme === 'http') return Scheme.http;
  return scheme === 'https' ? Scheme.https : Scheme.none;
}
