import type { Latin1Buffer } from './latin1-buffer.js';

/** Up to so many bytes a loop is faster than a call that copies. */
const LOOPED_MAX = 48;

const QUESTION = 0x3f;

/**
 * Writes heads into memory, span by span; it never writes beyond the end. What does not fit is left
 * out, and {@link isFull} says so: it is enough to look once, at the end.
 */
export class HeadWriter {
  bytes: Latin1Buffer = Buffer.alloc(0) as Latin1Buffer;
  /** Where the next byte goes: bytes[at, length) have been written. */
  length = 0;
  /** Something did not fit: what was written is of no use. */
  isFull = false;

  /** @param at where to begin */
  begin(bytes: Buffer, at = 0): this {
    this.bytes = bytes as Latin1Buffer;
    this.length = at;
    this.isFull = false;
    return this;
  }

  byte(value: number): void {
    if (this.hasRoom(1)) this.bytes[this.length++] = value;
  }

  /** Text of US-ASCII or Latin-1, without control characters. */
  text(text: string): void {
    if (!this.hasRoom(text.length)) return;
    const { bytes } = this;
    let at = this.length;
    if (text.length > LOOPED_MAX) at += bytes.latin1Write(text, at);
    else for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index);
    this.length = at;
  }

  /** Text from elsewhere: what is no visible US-ASCII or a space becomes a question mark. */
  foreignText(text: string): void {
    if (!this.hasRoom(text.length)) return;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      this.bytes[this.length++] = code >= 0x20 && code < 0x7f ? code : QUESTION;
    }
  }

  /** Copies source[start, end). */
  copy(source: Buffer, start: number, end: number): void {
    const count = end - start;
    if (!this.hasRoom(count)) return;
    const { bytes, length } = this;
    if (count > LOOPED_MAX) source.copy(bytes, length, start, end);
    else for (let index = 0; index < count; index++) bytes[length + index] = source[start + index]!;
    this.length = length + count;
  }

  literal(source: Buffer): void {
    this.copy(source, 0, source.length);
  }

  private hasRoom(count: number): boolean {
    if (this.length + count <= this.bytes.length) return true;
    this.isFull = true;
    return false;
  }
}
