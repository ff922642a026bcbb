import { copyBytes, type NativeMemory } from '../../../splice/index.js';
import type { Latin1Buffer } from './latin1-buffer.js';

/** Up to so many bytes a loop is faster than a call that copies: within one Buffer, and from elsewhere. */
const LOOPED_WITHIN_MAX = 16;
const LOOPED_MAX = 48;

const QUESTION = 0x3f;

/** Not looked for in a Buffer's prototypes each time. */
const { set } = Uint8Array.prototype;

/**
 * Writes heads into memory, span by span; it never writes beyond the end. What does not fit is left
 * out, and {@link isFull} says so: it is enough to look once, at the end.
 */
export class HeadWriter {
  bytes: Latin1Buffer = Buffer.alloc(0) as Latin1Buffer;
  /** Where the next byte goes. */
  at = 0;
  private start = 0;
  private end = 0;
  /** Something did not fit: what was written is of no use. */
  isFull = false;

  /** Writes to bytes[start, end). */
  begin(bytes: Buffer, start = 0, end = bytes.length): this {
    this.bytes = bytes as Latin1Buffer;
    this.start = start;
    this.at = start;
    this.end = end;
    this.isFull = false;
    return this;
  }

  /** Writes to all of the memory. */
  beginIn({ bytes, start, end }: NativeMemory): this {
    return this.begin(bytes, start, end);
  }

  /** Bytes written. */
  get length(): number {
    return this.at - this.start;
  }

  byte(value: number): void {
    if (this.hasRoom(1)) this.bytes[this.at++] = value;
  }

  /** Text of US-ASCII or Latin-1, without control characters. */
  text(text: string): void {
    if (!this.hasRoom(text.length)) return;
    const { bytes } = this;
    let { at } = this;
    if (text.length > LOOPED_MAX) at += bytes.latin1Write(text, at);
    else for (let index = 0; index < text.length; index++) bytes[at++] = text.charCodeAt(index);
    this.at = at;
  }

  /** Text from elsewhere: what is no visible US-ASCII or a space becomes a question mark. */
  foreignText(text: string): void {
    if (!this.hasRoom(text.length)) return;
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index);
      this.bytes[this.at++] = code >= 0x20 && code < 0x7f ? code : QUESTION;
    }
  }

  /** Copies source[start, end). */
  copy(source: Buffer, start: number, end: number): void {
    const count = end - start;
    if (!this.hasRoom(count)) return;
    const { bytes, at } = this;
    const loopedMax = source === bytes ? LOOPED_WITHIN_MAX : LOOPED_MAX;
    if (count > loopedMax) copyBytes(source, start, end, bytes, at);
    else for (let index = 0; index < count; index++) bytes[at + index] = source[start + index]!;
    this.at = at + count;
  }

  /** Copies all of it. */
  literal(source: Buffer): void {
    const { length: count } = source;
    if (!this.hasRoom(count)) return;
    const { bytes, at } = this;
    if (count > LOOPED_MAX) set.call(bytes, source, at);
    else for (let index = 0; index < count; index++) bytes[at + index] = source[index]!;
    this.at = at + count;
  }

  private hasRoom(count: number): boolean {
    if (this.at + count <= this.end) return true;
    this.isFull = true;
    return false;
  }
}
