import {
  copyBytes,
  type NativeMemory,
  PlainTransport,
  type ReaderAhead,
  type ReadsAhead,
  type Transport,
} from '../../splice/index.js';
import type { HttpBuffers } from './http-buffers.js';

/**
 * What was read from a connection and not used yet: a head that is not whole, pipelined requests. It
 * owns memory only while there is something: a quiet connection has none, and a few waiting bytes
 * lie in a small block.
 */
export class Intake implements ReaderAhead {
  /** Where the bytes are; nothing while there are none. */
  buffer: NativeMemory | undefined;
  /** The bytes are `buffer.bytes[start, end)`. */
  start = 0;
  end = 0;
  /** How many of them a parser has seen and found to be no whole head. */
  seenBytes = 0;

  /** What was read ahead, into memory that nothing else is in, and what that call answered. */
  private ahead: NativeMemory | undefined;
  private aheadResult = 0;

  constructor(private readonly buffers: HttpBuffers) {}

  get length(): number {
    return this.end - this.start;
  }

  /**
   * Reads once, behind what is there already. There is always room for a whole head.
   * @returns as `Transport.read`
   */
  fill(transport: Transport): number {
    if (this.ahead !== undefined) return this.takeAhead(this.ahead, transport as PlainTransport);
    const buffer = this.makeRoom();
    const result = transport.read(buffer.at(this.end), buffer.end - this.end);
    if (result > 0) this.end += result;
    else if (this.start === this.end) this.release();
    return result;
  }

  /** There are bytes, and {@link fill} is about to be called: it may get them by a read that is made together with others. */
  askAhead(reads: ReadsAhead, transport: Transport): void {
    if (this.buffer !== undefined || !(transport instanceof PlainTransport)) return;
    if (!transport.isTcp || transport.hasReadAll) return;
    const buffer = this.buffers.takeBuffer();
    const start = this.buffers.readStart(buffer);
    reads.readAhead(transport.fd, buffer, buffer.at(start), buffer.end - start, this);
  }

  hasReadAhead(buffer: NativeMemory, result: number): void {
    this.ahead = buffer;
    this.aheadResult = result;
  }

  /** Bytes were read that nobody has looked at. */
  get isAhead(): boolean {
    return this.ahead !== undefined;
  }

  /** The first `count` bytes are used; where they were, they stay until {@link settle}. */
  consume(count: number): void {
    this.start += count;
    this.seenBytes = 0;
  }

  /** Puts bytes in that were read elsewhere. There must be none yet. */
  put(bytes: Buffer, start: number, end: number): void {
    this.release();
    const length = end - start;
    const buffer = length <= this.buffers.blockBytes ? this.buffers.takeBlock() : this.makeRoom();
    this.hold(buffer, buffer.start, length);
    copyBytes(bytes, start, end, buffer.bytes, buffer.start);
  }

  /** Nothing will be done with the bytes for a while: gives back the memory, or all but a little. */
  settle(): void {
    const { buffer, buffers, length } = this;
    if (buffer === undefined) return;
    if (length === 0) {
      this.release();
    } else if (length <= buffers.blockBytes && buffer.byteLength > buffers.blockBytes) {
      const block = buffers.takeBlock();
      copyBytes(buffer.bytes, this.start, this.end, block.bytes, block.start);
      buffers.give(buffer);
      this.hold(block, block.start, length);
    }
  }

  /** Drops what is there. */
  release(): void {
    if (this.buffer !== undefined) this.buffers.give(this.buffer);
    if (this.ahead !== undefined) this.buffers.give(this.ahead);
    this.buffer = undefined;
    this.ahead = undefined;
    this.start = 0;
    this.end = 0;
    this.seenBytes = 0;
  }

  /** Lets somebody else have the buffer and what is in it. */
  surrender(): NativeMemory {
    const buffer = this.buffer!;
    this.buffer = undefined;
    this.start = 0;
    this.end = 0;
    this.seenBytes = 0;
    return buffer;
  }

  private takeAhead(ahead: NativeMemory, transport: PlainTransport): number {
    this.ahead = undefined;
    const start = this.buffers.readStart(ahead);
    const result = transport.hasRead(this.aheadResult, ahead.end - start);
    if (result > 0) this.hold(ahead, start, result);
    else this.buffers.give(ahead);
    return result;
  }

  private makeRoom(): NativeMemory {
    const { buffer, buffers } = this;
    if (buffer === undefined) {
      const taken = buffers.takeBuffer();
      return this.hold(taken, buffers.readStart(taken), 0);
    }
    const isBlock = buffer.byteLength <= buffers.blockBytes;
    if (!isBlock && buffer.end - this.start >= buffers.roomBytes) return buffer;
    const target = isBlock ? buffers.takeBuffer() : buffer;
    const { length } = this;
    const start = buffers.readStart(target);
    copyBytes(buffer.bytes, this.start, this.end, target.bytes, start);
    if (isBlock) buffers.give(buffer);
    return this.hold(target, start, length);
  }

  /** The bytes are here from now on. */
  private hold(memory: NativeMemory, start: number, length: number): NativeMemory {
    this.buffer = memory;
    this.start = start;
    this.end = start + length;
    return memory;
  }
}
