import {
  BACKSLASH,
  COLON,
  CR,
  EQUALS,
  hexValue,
  isFieldValue,
  isToken,
  LF,
  QUOTE,
  SEMICOLON,
} from './characters.js';
import { HttpRejection } from './http-rejection.js';
import { TrailerName } from './trailer-name.js';
import { TrailerNames } from './trailer-names.js';

/**
 * Where in a chunked body the next byte is (RFC 9112 §7.1), in the order of the stream:
 *
 * ```
 *  ┌─▶ size ──▶ extName ──▶ extValue ──▶ (extQuoted ⇄ extEscape) ──▶ sizeLf ──▶ data ──▶ dataCr ──▶ dataLf ─┐
 *  │    └──────────┴───────────┴─────────────┴───────────▲  │                                               │
 *  │                                                        │ size 0                                        │
 *  │                        ┌───────────────────────────────▼                                               │
 *  │                        │ lineStart ──▶ name ──▶ value ──▶ valueLf ─┐                                   │
 *  │                        │   ▲  └─▶ endLf ──▶ done                   │                                   │
 *  │                        │   └───────────────────────────────────────┘                                   │
 *  └────────────────────────┴───────────────────────────────────────────────────────────────────────────────┘
 * ```
 */
const State = {
  /** Digits of a chunk's size. */
  size: 0,
  /** Behind `;`: the name of an extension. */
  extensionName: 1,
  /** Behind `=`: its value, a token or a quoted string. */
  extensionValue: 2,
  /** Inside the quotes. */
  extensionQuoted: 3,
  /** Behind a backslash inside the quotes. */
  extensionEscape: 4,
  /** Behind the closing quote. */
  extensionEnd: 5,
  /** LF of the line with the size. */
  sizeLf: 6,
  /** Data of the chunk. */
  data: 7,
  /** CR and LF behind the data. */
  dataCr: 8,
  dataLf: 9,
  /** Begin of a trailer field, or of the empty line. */
  lineStart: 10,
  /** Inside a trailer field's name. */
  name: 11,
  /** Inside its value. */
  value: 12,
  /** LF of its line. */
  valueLf: 13,
  /** LF of the empty line. */
  endLf: 14,
  /** The body has ended. */
  done: 15,
} as const;
type State = (typeof State)[keyof typeof State];

/** 2^53 − 1 has 14; more leave room for leading zeros, which some senders pad with. */
const SIZE_DIGITS_MAX = 16;
/**
 * Extensions of all chunks, beyond the bytes of data: whoever sends more extensions than data wants to
 * keep us busy (CVE-2023-39326).
 */
const EXTENSION_BYTES_MAX = 4096;
/** Bytes of all trailer lines. */
const TRAILER_BYTES_MAX = 8192;

/**
 * Follows the framing of one chunked body through a stream, whatever the pieces it comes in. The bytes
 * themselves are passed on as they are; what is checked is that everybody finds the same end in them.
 *
 * ```
 *   peek  ─▶ scan(bytes) ─▶ n  ─▶ pass on n + dataBytes bytes without a look ─▶ skip(dataBytes) ─▶ peek …
 * ```
 *
 * One belongs to one body on its way and is used again for the next by {@link begin}.
 */
export class ChunkScanner {
  /** What {@link step} consumed last was data of a chunk, and not framing. */
  wasData = false;
  /** Data bytes of the chunk that have not been scanned: they may pass without being looked at. */
  dataBytes = 0;
  /** Data bytes of the chunks so far, by their headers. */
  bodyBytes = 0;
  private state: State = State.size;
  /** Digits of a size, or bytes of an extension's name or value. */
  private count = 0;
  private size = 0;
  private extensionBytes = 0;
  private trailerBytes = 0;
  /** The one that is being read: whether it is refused. */
  private readonly name = new TrailerName();

  /** @param refused trailer fields that the body must not have */
  begin(refused = TrailerNames.usual): void {
    this.name.names = refused;
    this.wasData = false;
    this.dataBytes = 0;
    this.bodyBytes = 0;
    this.state = State.size;
    this.count = 0;
    this.size = 0;
    this.extensionBytes = 0;
    this.trailerBytes = 0;
  }

  /** The body has ended: last chunk, trailers and empty line have been seen. */
  get isDone(): boolean {
    return this.state === State.done;
  }

  /** A trailer field has come. Means something when the body has ended. */
  get hasTrailers(): boolean {
    return this.trailerBytes > 0;
  }

  /** The next byte begins a trailer field, or is the empty line's. */
  get isAtLine(): boolean {
    return this.state === State.lineStart;
  }

  /**
   * Scans bytes[start, end), the next ones of the stream.
   *
   * @returns bytes that belong to the body: all of them unless it ends before; a negative rejection
   */
  scan(bytes: Buffer, start: number, end: number): number {
    return this.scanTo(bytes, start, end, State.done);
  }

  /** The same up to where trailers begin, if there are any. */
  scanChunks(bytes: Buffer, start: number, end: number): number {
    return this.scanTo(bytes, start, end, State.lineStart);
  }

  /**
   * The same up to the next border between framing and data, or the end of the body: for those who take
   * the body out of its chunks. {@link wasData} says what it was.
   *
   * @param end above `start`, unless the body has ended
   * @returns bytes of one kind, at least one unless the body has ended; a negative rejection
   */
  step(bytes: Buffer, start: number, end: number): number {
    return this.stepTo(bytes, start, end, State.done);
  }

  /** Says that data bytes of the chunk passed unseen. @param bytes at most `dataBytes` */
  skip(bytes: number): void {
    this.dataBytes -= bytes;
    if (this.dataBytes === 0 && this.state === State.data) this.state = State.dataCr;
  }

  /** Scans up to a state behind the chunks. */
  private scanTo(bytes: Buffer, start: number, end: number, last: State): number {
    let at = start;
    while (at < end && this.state < last) {
      const consumed = this.stepTo(bytes, at, end, last);
      if (consumed < 0) return consumed;
      at += consumed;
    }
    return at - start;
  }

  private stepTo(bytes: Buffer, start: number, end: number, last: State): number {
    this.wasData = this.state === State.data;
    if (this.wasData) {
      const consumed = Math.min(this.dataBytes, end - start);
      this.skip(consumed);
      return consumed;
    }
    let at = start;
    for (; at < end; at++) {
      if (this.state === State.data || this.state >= last) break;
      const fault = this.next(bytes[at]!);
      if (fault < 0) return fault;
    }
    return at - start;
  }

  /** Takes one byte that is not data. @returns 0, or a negative rejection */
  private next(byte: number): number {
    switch (this.state) {
      case State.size:
        return this.takeSize(byte);
      case State.extensionName:
      case State.extensionValue:
      case State.extensionQuoted:
      case State.extensionEscape:
      case State.extensionEnd:
        return this.takeExtension(byte);
      case State.sizeLf:
        return this.takeSizeEnd(byte);
      case State.dataCr:
        this.state = State.dataLf;
        return byte === CR ? 0 : -HttpRejection.chunk_unterminated;
      case State.dataLf:
        this.beginSize();
        return byte === LF ? 0 : -HttpRejection.chunk_unterminated;
      case State.lineStart:
      case State.name:
      case State.value:
      case State.valueLf:
        return this.takeTrailer(byte);
      case State.endLf:
        // What is rejected is never over: behind it there would be another message.
        if (byte !== LF) return -HttpRejection.bare_cr;
        this.state = State.done;
        return 0;
      case State.data:
      case State.done:
        return 0;
      default: {
        const impossible: never = this.state;
        return impossible;
      }
    }
  }

  private beginSize(): void {
    this.state = State.size;
    this.count = 0;
    this.size = 0;
  }

  private takeSize(byte: number): number {
    const value = hexValue[byte]!;
    if (value < 16) {
      if (++this.count > SIZE_DIGITS_MAX) return -HttpRejection.chunk_size_malformed;
      this.size = this.size * 16 + value;
      return this.size > Number.MAX_SAFE_INTEGER ? -HttpRejection.chunk_size_too_large : 0;
    }
    if (byte === LF) return -HttpRejection.bare_lf;
    if (this.count === 0) return -HttpRejection.chunk_size_malformed;
    this.count = 0;
    if (byte === CR) this.state = State.sizeLf;
    else if (byte === SEMICOLON) this.state = State.extensionName;
    else return -HttpRejection.chunk_size_malformed;
    return 0;
  }

  /** `";" chunk-ext-name [ "=" chunk-ext-val ]` (RFC 9112 §7.1.1), without white space around. */
  private takeExtension(byte: number): number {
    if (++this.extensionBytes > EXTENSION_BYTES_MAX + this.bodyBytes) {
      return -HttpRejection.chunk_extension_too_large;
    }
    if (this.state === State.extensionQuoted || this.state === State.extensionEscape) {
      return this.takeQuoted(byte);
    }
    const isEnd = this.state === State.extensionEnd;
    if (!isEnd && isToken[byte] === 1) {
      this.count++;
      return 0;
    }
    if (this.state === State.extensionValue && byte === QUOTE && this.count === 0) {
      this.state = State.extensionQuoted;
      return 0;
    }
    if (byte === LF) return -HttpRejection.bare_lf;
    if (!isEnd && this.count === 0) return -HttpRejection.chunk_extension_malformed;
    this.count = 0;
    if (byte === CR) this.state = State.sizeLf;
    else if (byte === SEMICOLON) this.state = State.extensionName;
    else if (byte === EQUALS && this.state === State.extensionName) {
      this.state = State.extensionValue;
    } else return -HttpRejection.chunk_extension_malformed;
    return 0;
  }

  private takeQuoted(byte: number): number {
    if (byte === LF) return -HttpRejection.bare_lf;
    if (isFieldValue[byte] !== 1) return -HttpRejection.chunk_extension_malformed;
    if (this.state === State.extensionEscape) this.state = State.extensionQuoted;
    else if (byte === QUOTE) this.state = State.extensionEnd;
    else if (byte === BACKSLASH) this.state = State.extensionEscape;
    return 0;
  }

  private takeSizeEnd(byte: number): number {
    if (byte !== LF) return -HttpRejection.bare_cr;
    this.dataBytes = this.size;
    this.bodyBytes += this.size;
    this.state = this.size > 0 ? State.data : State.lineStart;
    return 0;
  }

  /** `field-line CRLF` (RFC 9112 §7.1.2), as strict as in a head. */
  private takeTrailer(byte: number): number {
    if (this.state === State.lineStart && byte === CR) {
      this.state = State.endLf;
      return 0;
    }
    if (++this.trailerBytes > TRAILER_BYTES_MAX) return -HttpRejection.trailer_too_large;
    if (this.state === State.value) return this.takeTrailerValue(byte);
    if (this.state === State.valueLf) {
      this.state = State.lineStart;
      return byte === LF ? 0 : -HttpRejection.bare_cr;
    }
    if (isToken[byte] === 1) {
      if (this.state === State.lineStart) this.name.begin();
      this.state = State.name;
      this.name.take(byte);
      return 0;
    }
    if (byte === LF) return -HttpRejection.bare_lf;
    if (byte !== COLON || this.state !== State.name) return -HttpRejection.trailer_malformed;
    this.state = State.value;
    return this.name.isNamed ? -HttpRejection.trailer_forbidden : 0;
  }

  private takeTrailerValue(byte: number): number {
    if (isFieldValue[byte] === 1) return 0;
    if (byte === LF) return -HttpRejection.bare_lf;
    if (byte !== CR) return -HttpRejection.control_character;
    this.state = State.valueLf;
    return 0;
  }
}
