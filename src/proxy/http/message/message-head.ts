import { COLON, CR, HTAB, isToken, isWhiteSpace, LF, UNDERSCORE } from './characters.js';
import { type ConnectionOptions, readConnection } from './connection-options.js';
import { readContentLength } from './content-length.js';
import {
  HEADER_NAME_BYTES_MAX,
  HeaderName,
  headerNameBytes,
  headerNameOf,
  headerNames,
  isHeaderNameAt,
  LAST_FRAMING_NAME,
} from './header-name.js';
import { HttpRejection, PARTIAL } from './http-rejection.js';
import type { Latin1Buffer } from './latin1-buffer.js';
import { readTransferEncoding } from './transfer-encoding.js';
import { findColon, skipFieldValue } from './words.js';

/** How the end of a message's body is found (RFC 9112 §6.3). */
export const Framing = {
  /** There is no body. */
  none: 0,
  /** `contentLength` bytes, at least one. */
  length: 1,
  chunked: 2,
  /** Responses only: up to the end of the stream. */
  until_close: 3,
  /** Responses only: a 101, or a 2xx to CONNECT. What follows is no HTTP of ours. */
  tunnel: 4,
} as const;
export type Framing = (typeof Framing)[keyof typeof Framing];

/** Numbers per field in {@link MessageHead.table}. */
const STRIDE = 5;
const ID = 0;
const NAME = 1;
const NAME_END = 2;
const VALUE = 3;
const VALUE_END = 4;

/**
 * What heads of requests and responses have in common: the fields, and what they say about framing.
 *
 * Everything is kept as offsets into the bytes that were parsed, so it means something only as long as
 * those bytes stay as they are. One object per worker is enough: it is filled anew for each head.
 */
export abstract class MessageHead {
  /** What was parsed: bytes[start, end) is the head, up to and with its empty line. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  /** HTTP/1.0 or HTTP/1.1. */
  minorVersion = 1;
  framing: Framing = Framing.none;
  /** Value of Content-Length, −1 without one. It may be there without a body: answers to HEAD, a 304. */
  contentLength = -1;
  /** The sender can keep the connection for another message (RFC 9112 §9.3). */
  keepAlive = false;
  /** Number of fields; they are known by their index from 0 on. */
  count = 0;
  /** Where the first field line begins, right behind the first line. */
  fieldsStart = 0;
  /** Where the empty line begins that ends the head. */
  fieldsEnd = 0;

  protected readonly connection: ConnectionOptions = {
    close: false,
    keepAlive: false,
    upgrade: false,
    named: new Int32Array(2 * 32),
    namedCount: 0,
  };
  protected isChunked = false;
  /** Of {@link bytes}. */
  protected view = new DataView(this.bytes.buffer, 0, 0);
  /** Index of the field, −1 without one. */
  protected hostIndex = -1;
  private readonly table: Int32Array;
  /** A bit for each {@link HeaderName} that is there, 0 to 31 and 32 to 63. */
  private presentLow = 0;
  private presentHigh = 0;

  /**
   * @param headersMax fields of a head, at least 1
   * @param bytesMax bytes of a head with its empty line
   */
  constructor(
    readonly headersMax: number,
    readonly bytesMax: number,
  ) {
    this.table = new Int32Array((headersMax + 1) * STRIDE);
  }

  /** Whether a field of this name is there. */
  has(name: HeaderName): boolean {
    return (
      (name < 32 ? (this.presentLow >>> name) & 1 : (this.presentHigh >>> (name - 32)) & 1) !== 0
    );
  }

  /** Index of the first field of this name from `from` on, −1 without one. */
  find(name: HeaderName, from = 0): number {
    if (!this.has(name)) return -1;
    for (let index = from; index < this.count; index++) {
      if (this.table[index * STRIDE + ID] === name) return index;
    }
    return -1;
  }

  /**
   * The same for any name.
   * @param name in lower case
   */
  findNamed(name: string, from = 0): number {
    for (let index = from; index < this.count; index++) {
      if (this.isNamed(index, name)) return index;
    }
    return -1;
  }

  /** Whether field `index` has this name, given in lower case. */
  isNamed(index: number, name: string): boolean {
    const at = this.table[index * STRIDE + NAME]!;
    const length = this.table[index * STRIDE + NAME_END]! - at;
    return length === name.length && equalsFolded(this.bytes, at, name);
  }

  /**
   * The known name that another one turns into where hyphens become underscores, as in CGI and WSGI:
   * `X_Forwarded_For` is X-Forwarded-For there, and would get around whoever sets that field.
   * {@link HeaderName.other} when it is none.
   */
  imitates(index: number): HeaderName {
    const name = this.hyphened(index);
    if (name === undefined) return HeaderName.other;
    return Math.max(headerNames.indexOf(name), HeaderName.other) as HeaderName;
  }

  /** The name with hyphens for its underscores, in lower case; undefined when it has none. */
  hyphened(index: number): string | undefined {
    const end = this.nameEnd(index);
    let at = this.lineStart(index);
    while (at < end && this.bytes[at] !== UNDERSCORE) at++;
    return at === end ? undefined : this.name(index).replaceAll('_', '-').toLowerCase();
  }

  id(index: number): HeaderName {
    return this.table[index * STRIDE + ID] as HeaderName;
  }

  /** Where the line begins, which is where the name does. That of index `count` is {@link fieldsEnd}. */
  lineStart(index: number): number {
    return this.table[index * STRIDE + NAME]!;
  }

  /** Where the line ends, CRLF included: where the next begins. */
  lineEnd(index: number): number {
    return this.table[(index + 1) * STRIDE + NAME]!;
  }

  nameEnd(index: number): number {
    return this.table[index * STRIDE + NAME_END]!;
  }

  /** Where the value begins, without white space around it. */
  valueStart(index: number): number {
    return this.table[index * STRIDE + VALUE]!;
  }

  valueEnd(index: number): number {
    return this.table[index * STRIDE + VALUE_END]!;
  }

  /** The name as it was sent. */
  name(index: number): string {
    return this.text(this.lineStart(index), this.nameEnd(index));
  }

  /** The value, a character per byte. */
  value(index: number): string {
    return this.text(this.valueStart(index), this.valueEnd(index));
  }

  /** bytes[start, end) of the head as a string, a character per byte. */
  text(start: number, end: number): string {
    return (this.bytes as Latin1Buffer).latin1Slice(start, end);
  }

  /**
   * Whether the field is for this connection only and must not be passed on (RFC 9110 §7.6.1): Connection,
   * Keep-Alive, Proxy-Connection, TE, Upgrade, those for proxies, and what Connection names.
   *
   * What says how the message is framed, whom it is for and whom it comes from is never one, whatever Connection
   * names: it would let a client take away what others rely on. Proxies in front may pass its Connection on.
   */
  isHopByHop(index: number): boolean {
    const id = this.id(index);
    switch (id) {
      case HeaderName.connection:
      case HeaderName.keep_alive:
      case HeaderName.proxy_connection:
      case HeaderName.te:
      case HeaderName.upgrade:
      case HeaderName.proxy_authenticate:
      case HeaderName.proxy_authorization:
        return true;
      case HeaderName.host:
      case HeaderName.content_length:
      case HeaderName.transfer_encoding:
      case HeaderName.expect:
        return false;
      default:
        if (id >= HeaderName.forwarded && id <= HeaderName.x_real_ip) return false;
        return this.connection.namedCount > 0 && this.isNamedByConnection(index);
    }
  }

  /** Forgets the head before. */
  protected clear(bytes: Buffer, start: number): void {
    if (bytes !== this.bytes) {
      this.bytes = bytes;
      this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.start = start;
    this.end = start;
    this.minorVersion = 1;
    this.framing = Framing.none;
    this.contentLength = -1;
    this.keepAlive = false;
    this.count = 0;
    this.isChunked = false;
    this.hostIndex = -1;
    this.presentLow = 0;
    this.presentHigh = 0;
    this.connection.close = false;
    this.connection.keepAlive = false;
    this.connection.upgrade = false;
    this.connection.namedCount = 0;
  }

  /**
   * Reads field lines up to and with the empty line that ends them (RFC 9112 §5).
   *
   * @param at where the first line begins
   * @returns where the head ends, PARTIAL, or a negative rejection
   */
  protected parseFields(bytes: Buffer, at: number, end: number): number {
    const { table, view } = this;
    this.fieldsStart = at;
    for (let slot = 0; ; slot += STRIDE) {
      const nameAt = at;
      // Heads of one kind mostly have the same fields in the same order: the last one's is tried first.
      const lastId = table[slot + ID]!;
      const isSame = lastId !== HeaderName.other && isHeaderNameAt(view, at, end, lastId);
      const id = isSame ? lastId : this.knownName(bytes, at, end);
      if (id !== HeaderName.other) at += headerNameBytes[id]!;
      else while (at < end && isToken[bytes[at]!] === 1) at++;
      if (at === end) return PARTIAL;
      if (bytes[at] !== COLON || at === nameAt) {
        if (at > nameAt || bytes[at] !== CR) return -nameFault(bytes, nameAt, at);
        if (at + 1 === end) return PARTIAL;
        if (bytes[at + 1] !== LF) return -HttpRejection.bare_cr;
        table[slot + NAME] = nameAt;
        this.fieldsEnd = nameAt;
        return at + 2;
      }
      if (this.count === this.headersMax) return -HttpRejection.headers_too_many;
      const nameEnd = at++;
      while (at < end && isWhiteSpace(bytes[at]!)) at++;
      const valueAt = at;
      at = skipFieldValue(view, at, end);
      if (at === end) return PARTIAL;
      if (bytes[at] !== CR) {
        return bytes[at] === LF ? -HttpRejection.bare_lf : -HttpRejection.control_character;
      }
      if (at + 1 === end) return PARTIAL;
      if (bytes[at + 1] !== LF) return -HttpRejection.bare_cr;
      let valueEnd = at;
      while (valueEnd > valueAt && isWhiteSpace(bytes[valueEnd - 1]!)) valueEnd--;
      at += 2;
      table[slot + ID] = id;
      table[slot + NAME] = nameAt;
      table[slot + NAME_END] = nameEnd;
      table[slot + VALUE] = valueAt;
      table[slot + VALUE_END] = valueEnd;
      if (id < 32) this.presentLow |= 1 << id;
      else this.presentHigh |= 1 << (id - 32);
      if (id !== HeaderName.other && id <= LAST_FRAMING_NAME) {
        const fault = this.readFramingField(bytes, id, valueAt, valueEnd);
        if (fault < 0) return fault;
      }
      this.count++;
    }
  }

  /** @returns the number of the name that begins here, if it is a known one and a colon is behind it */
  private knownName(bytes: Buffer, at: number, end: number): number {
    // The empty line has none, and nothing behind it is to be searched.
    if (at === end || bytes[at] === CR) return HeaderName.other;
    const { view } = this;
    const reach = at + HEADER_NAME_BYTES_MAX + 1;
    const limit = reach < end ? reach : end;
    const colonAt = findColon(view, at, limit);
    return colonAt === limit ? HeaderName.other : headerNameOf(view, at, colonAt);
  }

  /**
   * Looks at a field that changes how the message is read. `this.count` is its index.
   * @returns 0, or a negative rejection
   */
  private readFramingField(bytes: Buffer, id: number, start: number, end: number): number {
    switch (id) {
      case HeaderName.content_length:
        if (this.contentLength >= 0) return -HttpRejection.content_length_repeated;
        this.contentLength = readContentLength(bytes, start, end);
        // A tab may stand there (RFC 9110 §5.6.3), but llhttp for one does not expect it.
        if (hasTabAround(bytes, start, end)) return -HttpRejection.content_length_malformed;
        return this.contentLength;
      case HeaderName.transfer_encoding: {
        // RFC 9110 §5.3: several lines are one list, and a list with chunked before its end is wrong.
        if (this.isChunked) return -HttpRejection.transfer_coding_not_final;
        const fault = readTransferEncoding(bytes, start, end);
        this.isChunked = fault === 0;
        // As above: to nginx, for one, that is another coding than chunked.
        if (this.isChunked && hasTabAround(bytes, start, end)) {
          return -HttpRejection.transfer_encoding_malformed;
        }
        return fault;
      }
      case HeaderName.connection:
        return readConnection(this.view, bytes, start, end, this.connection);
      case HeaderName.host:
        if (this.hostIndex >= 0) return -HttpRejection.host_repeated;
        this.hostIndex = this.count;
        return 0;
      default:
        return 0;
    }
  }

  /** What no message may say about its body, whatever else it is. @returns 0, or a negative rejection */
  protected checkFraming(): number {
    if (!this.isChunked) return 0;
    if (this.contentLength >= 0) return -HttpRejection.framing_ambiguous;
    return this.minorVersion === 0 ? -HttpRejection.transfer_encoding_http_1_0 : 0;
  }

  /** RFC 9112 §9.3. */
  protected wantsKeepAlive(): boolean {
    if (this.connection.close) return false;
    return this.minorVersion === 1 || this.connection.keepAlive;
  }

  private isNamedByConnection(index: number): boolean {
    const { named, namedCount } = this.connection;
    const at = this.lineStart(index);
    const length = this.nameEnd(index) - at;
    for (let option = 0; option < namedCount; option++) {
      const optionAt = named[option * 2]!;
      if (named[option * 2 + 1]! - optionAt !== length) continue;
      if (rangesEqualFolded(this.bytes, at, optionAt, length)) return true;
    }
    return false;
  }
}

/** Says what is wrong with a line that is no name and colon; `at` is the first byte that is no token. */
function nameFault(bytes: Buffer, nameAt: number, at: number): HttpRejection {
  const byte = bytes[at]!;
  if (byte === LF) return HttpRejection.bare_lf;
  if (at === nameAt && isWhiteSpace(byte)) return HttpRejection.obs_fold;
  if (!isWhiteSpace(byte) || at === nameAt) return HttpRejection.field_name_malformed;
  return HttpRejection.space_before_colon;
}

/** @param start bytes[start, end) are a value, with a colon before its white space and CR behind it */
function hasTabAround(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start - 1; isWhiteSpace(bytes[at]!); at--) if (bytes[at] === HTAB) return true;
  for (let at = end; isWhiteSpace(bytes[at]!); at++) if (bytes[at] === HTAB) return true;
  return false;
}

function letterOf(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

function equalsFolded(bytes: Buffer, at: number, lower: string): boolean {
  for (let index = 0; index < lower.length; index++) {
    if (letterOf(bytes[at + index]!) !== lower.charCodeAt(index)) return false;
  }
  return true;
}

function rangesEqualFolded(bytes: Buffer, at: number, otherAt: number, length: number): boolean {
  for (let index = 0; index < length; index++) {
    if (letterOf(bytes[at + index]!) !== letterOf(bytes[otherAt + index]!)) return false;
  }
  return true;
}
