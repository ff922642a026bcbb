import { PARTIAL, Rejection } from './head-rejection.js';
import { otherProtocol } from './other-protocol.js';

/** RFC 8446 §5.1 `TLSPlaintext`: type, legacy_record_version, length. */
const RECORD_HEADER_BYTES = 5;
const CONTENT_TYPE_HANDSHAKE = 22;
const VERSION_MAJOR = 3;
/** RFC 8446 §5.1: a longer record is answered with record_overflow. */
const RECORD_BYTES_MAX = 1 << 14;
/** RFC 8446 §4 `Handshake`: msg_type and a length of three bytes. */
export const MESSAGE_HEADER_BYTES = 4;
const MESSAGE_CLIENT_HELLO = 1;
/** A ClientHello is hundreds of bytes; with a post-quantum key share and a ticket, a few thousand. */
const MESSAGE_BYTES_MAX = MESSAGE_HEADER_BYTES + (16 << 10);

/**
 * Stream bytes looked at, record headers included. Whoever cuts 16 KiB into records of fewer than six
 * bytes needs more; a hello of ordinary size may come in records of one byte.
 */
export const HELLO_STREAM_BYTES_MAX = 32 << 10;

/** Below this, a loop is faster than a call of Buffer.copy. */
const SMALL_COPY_BYTES = 32;

/**
 * The first handshake message of a stream, taken out of its records.
 *
 * ```
 *   stream   │22 03 01 len│fragment│22 03 01 len│fragment│ …
 *                         └───┬────┘            └────┬───┘
 *   message                   │type len │ body …     │ …
 * ```
 *
 * One is enough for a worker: it is used up within a call of {@link gatherClientHello}'s caller.
 */
export class HandshakeMessage {
  readonly bytes: Buffer = Buffer.from(new ArrayBuffer(MESSAGE_BYTES_MAX));
  /** Bytes of the whole message, header included; 0 while nobody knows. */
  byteLength = 0;
  /** After PARTIAL: the message cannot be whole before the stream has so many bytes. */
  wantedBytes = 0;
  private gathered = 0;

  begin(): void {
    this.byteLength = 0;
    this.gathered = 0;
  }

  get isWhole(): boolean {
    return this.byteLength > 0 && this.gathered === this.byteLength;
  }

  /** Bytes without which there is no message. */
  get missingBytes(): number {
    return (this.byteLength === 0 ? MESSAGE_HEADER_BYTES : this.byteLength) - this.gathered;
  }

  /**
   * Adds what is there of a record's fragment.
   *
   * @param end end of what is there, in the record or behind it
   * @returns 0, or a negative rejection
   */
  take(stream: Buffer, fragmentAt: number, recordEnd: number, end: number): number {
    // A message of which only a piece of the header is known may turn out to be longer than allowed.
    const room = MESSAGE_BYTES_MAX - this.gathered;
    const copied = Math.min(Math.min(recordEnd, end) - fragmentAt, room);
    copyFragment(stream, fragmentAt, fragmentAt + copied, this.bytes, this.gathered);
    const before = this.gathered;
    this.gathered += copied;
    if (this.byteLength === 0) {
      const result = this.readHeader();
      if (result < 0) return result;
    }
    const isLonger = before + recordEnd - fragmentAt > this.byteLength;
    return this.byteLength > 0 && isLonger ? -Rejection.client_hello_followed : 0;
  }

  private readHeader(): number {
    if (this.gathered === 0) return 0;
    if (this.bytes[0] !== MESSAGE_CLIENT_HELLO) return -Rejection.not_client_hello;
    if (this.gathered < MESSAGE_HEADER_BYTES) return 0;
    const length = (this.bytes[1]! << 16) | (this.bytes[2]! << 8) | this.bytes[3]!;
    this.byteLength = MESSAGE_HEADER_BYTES + length;
    return this.byteLength > MESSAGE_BYTES_MAX ? -Rejection.client_hello_too_large : 0;
  }
}

/**
 * Takes the ClientHello out of the records at the beginning of a stream, and checks everything
 * that can be known without looking into it.
 *
 * @param bytes bytes[start, end) are the beginning of the stream
 * @returns stream bytes up to the end of the message's last record, PARTIAL, or a negative rejection
 */
export function gatherClientHello(
  bytes: Buffer,
  start: number,
  end: number,
  message: HandshakeMessage,
): number {
  message.begin();
  for (let at = start; ; ) {
    const recordBytes = recordLength(bytes, start, at, end);
    if (recordBytes < 0) return recordBytes;
    if (recordBytes === PARTIAL) {
      const isOther = end > start && bytes[start] !== CONTENT_TYPE_HANDSHAKE;
      message.wantedBytes = isOther
        ? end - start + 1
        : at - start + RECORD_HEADER_BYTES + message.missingBytes;
      return PARTIAL;
    }
    const fragmentAt = at + RECORD_HEADER_BYTES;
    const recordEnd = fragmentAt + recordBytes;
    if (recordEnd - start > HELLO_STREAM_BYTES_MAX) return -Rejection.client_hello_too_large;
    const result = message.take(bytes, fragmentAt, recordEnd, end);
    if (result < 0) return result;
    if (message.isWhole) return recordEnd - start;
    if (recordEnd > end) {
      // This record, and one more header if the message is longer.
      const behind = message.missingBytes - (recordEnd - end);
      const next = behind > 0 ? RECORD_HEADER_BYTES + behind : 0;
      message.wantedBytes = recordEnd - start + next;
      return PARTIAL;
    }
    at = recordEnd;
  }
}

/** @returns bytes of the record's fragment, PARTIAL while its header is not whole, or a rejection */
function recordLength(bytes: Buffer, start: number, at: number, end: number): number {
  if (at === end) return PARTIAL;
  if (bytes[at] !== CONTENT_TYPE_HANDSHAKE) {
    return at === start ? otherProtocol(bytes, at, end) : -Rejection.not_handshake;
  }
  if (end - at < 2) return PARTIAL;
  // RFC 5246 §E.1: any {03,XX} must be taken.
  if (bytes[at + 1] !== VERSION_MAJOR) return -Rejection.version_unsupported;
  if (end - at < RECORD_HEADER_BYTES) return PARTIAL;
  const length = (bytes[at + 3]! << 8) | bytes[at + 4]!;
  if (length === 0) return -Rejection.record_empty;
  return length > RECORD_BYTES_MAX ? -Rejection.record_too_large : length;
}

function copyFragment(from: Buffer, start: number, end: number, to: Buffer, at: number): void {
  if (end - start >= SMALL_COPY_BYTES) {
    from.copy(to, at, start, end);
    return;
  }
  for (let index = start; index < end; index++) to[at + index - start] = from[index]!;
}
