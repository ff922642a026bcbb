import type { Latin1Buffer, RequestHead } from '../message/index.js';

const SLASH = 0x2f;
const PERCENT = 0x25;
const DOT = 0x2e;

const ROOT = Buffer.from('/', 'latin1');
const HEX = Buffer.from('0123456789ABCDEF', 'latin1');

/**
 * Bytes that stand for themselves in a canonical path: `pchar` (RFC 3986 §3.3). Not the slash, which is
 * looked at for what is beside it, nor the star, so that `%2A` and `*` are the same.
 */
const isPlain = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 0x80 && /[\w.~!$&'()+,;=:@-]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

/**
 * The path of a request as routes compare it, so that no other spelling of a path gets around a route:
 * dot segments are resolved and slashes in a row are one, as upstreams do; what may stand for itself
 * does, and everything else is `%XX` in capitals (RFC 3986 §6.2.2). `%2F` stays what it is: to most
 * upstreams it is part of a name.
 *
 * The usual path is that already: it is looked at once, and nothing is copied. One object per worker.
 */
export class CanonicalPath {
  /** bytes[start, end) are the path; the head's own or a copy, good until the next {@link read}. */
  bytes: Buffer = ROOT;
  start = 0;
  end = 0;
  /** Dot segments were resolved: what was sent may lead elsewhere once a prefix is taken off. */
  hadDotSegments = false;
  private copy = Buffer.alloc(0);
  private text: string | undefined;

  /**
   * @param head of a request with a path: origin or absolute form
   * @returns false for a path that leads above the root
   */
  read({ bytes, target }: RequestHead): boolean {
    this.text = undefined;
    this.hadDotSegments = false;
    this.bytes = target.pathStart === target.pathEnd ? ROOT : bytes;
    this.start = this.bytes === ROOT ? 0 : target.pathStart;
    this.end = this.bytes === ROOT ? 1 : target.pathEnd;
    return isCanonical(this.bytes, this.start, this.end) || this.rewrite();
  }

  /** As a string, made when it is first asked for. */
  get string(): string {
    this.text ??= (this.bytes as Latin1Buffer).latin1Slice(this.start, this.end);
    return this.text;
  }

  private rewrite(): boolean {
    const { bytes, start, end } = this;
    const most = (end - start) * 3;
    if (this.copy.length < most) this.copy = Buffer.allocUnsafeSlow(Math.max(most, 4096));
    const out = this.copy;
    let length = 0;
    for (let at = start; at < end; ) {
      if (bytes[at] === SLASH) {
        if (length === 0 || out[length - 1] !== SLASH) out[length++] = SLASH;
        at++;
        continue;
      }
      const segmentAt = length;
      while (at < end && bytes[at] !== SLASH) {
        length = writeUnit(bytes, at, out, length);
        at += bytes[at] === PERCENT ? 3 : 1;
      }
      const dots = countDots(out, segmentAt, length);
      if (dots === 0) continue;
      this.hadDotSegments = true;
      if (dots === 2 && segmentAt <= 1) return false;
      length = dots === 1 ? segmentAt : out.lastIndexOf(SLASH, segmentAt - 2) + 1;
    }
    this.bytes = out;
    this.start = 0;
    this.end = length;
    return true;
  }
}

/**
 * Where the path as it was sent goes on behind its first `length` canonical bytes.
 *
 * @param bytes bytes[start, end) are a path without dot segments, as sent
 * @returns −1 when no unit ends there
 */
export function rawOffset(bytes: Buffer, start: number, end: number, length: number): number {
  let at = start;
  let written = 0;
  let lastByte = 0;
  while (at < end && written < length) {
    const byte = bytes[at]!;
    if (byte !== SLASH || lastByte !== SLASH) {
      written = byte === SLASH ? written + 1 : writeUnit(bytes, at, scratch, 0) + written;
    }
    lastByte = byte;
    at += byte === PERCENT ? 3 : 1;
  }
  return written === length ? at : -1;
}

const scratch = Buffer.alloc(3);

/** Whether nothing has to be looked at more closely; a dot at the beginning of a segment has. */
function isCanonical(bytes: Buffer, start: number, end: number): boolean {
  let isSegmentStart = false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === SLASH) {
      if (isSegmentStart) return false;
      isSegmentStart = true;
    } else {
      if (isPlain[byte] === 0 || (isSegmentStart && byte === DOT)) return false;
      isSegmentStart = false;
    }
  }
  return true;
}

/** Writes the byte or the escape at `at` in its canonical spelling. @returns where that ends */
function writeUnit(bytes: Buffer, at: number, out: Buffer, length: number): number {
  let byte = bytes[at]!;
  if (byte === PERCENT) byte = (digit(bytes[at + 1]!) << 4) | digit(bytes[at + 2]!);
  if (isPlain[byte] === 1) {
    out[length] = byte;
    return length + 1;
  }
  out[length] = PERCENT;
  out[length + 1] = HEX[byte >> 4]!;
  out[length + 2] = HEX[byte & 15]!;
  return length + 3;
}

/** The parser has seen to it that there is no other byte behind a `%`. */
function digit(byte: number): number {
  return byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x61 + 10;
}

/** 1 for `.`, 2 for `..`, 0 for any other segment. */
function countDots(bytes: Buffer, start: number, end: number): number {
  const length = end - start;
  if (length > 2 || bytes[start] !== DOT) return 0;
  return length === 1 ? 1 : bytes[start + 1] === DOT ? 2 : 0;
}
