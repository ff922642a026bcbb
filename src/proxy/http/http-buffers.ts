import { BufferPool, NativeMemory } from '../../splice/index.js';
import { EVENTS_MAX } from '../event-loop.js';

/** Free bytes in front of what is read: a head that grew can be put right before its body. */
const HEADROOM_BYTES = 8 * 1024;
/** Bytes one read may bring beyond the longest head. */
const BODY_BYTES = 40 * 1024;
/**
 * A request's head as it is sent, kept until it is answered. Pages that are not written cost nothing. Five lines of
 * the processor's cache more than a power of two: heads of many requests do not compete for the same lines.
 */
const BLOCK_BYTES = 16 * 1024 + 5 * 64;
/** Fields that are added to a head, at most. */
const GROWTH_BYTES = 16 * 1024;
/** Made in advance, in low memory: as many as are in use at once in most workers. */
const BUFFERS_MADE = 64;
/** Kept while nobody needs them: a turn may read ahead, and send late, once for each of its events. */
const BUFFERS_IDLE_MAX = EVENTS_MAX;
const BLOCKS_IDLE_MAX = EVENTS_MAX;

/** Of a worker of this thread that has ended: low memory is never given back, so the next one has it. */
let released: HttpBuffers | undefined;

/** The memory of one worker's HTTP: whoever holds none of it is idle. */
export class HttpBuffers {
  /** Bytes of a block. */
  readonly blockBytes = BLOCK_BYTES;
  /** From the first byte of a head on, a buffer has room for so many at least. */
  readonly roomBytes: number;
  /** Where a head is written before it is sent; free again after each turn. */
  readonly output: NativeMemory;
  private readonly buffers: BufferPool;
  private readonly blocks: BufferPool;

  /** @param headBytes the longest head that is taken */
  constructor(private readonly headBytes: number) {
    this.roomBytes = headBytes + 1024;
    const bufferBytes = HEADROOM_BYTES + this.roomBytes + BODY_BYTES;
    const [output, ...pools] = NativeMemory.neighbours([
      headBytes + GROWTH_BYTES,
      ...new Array<number>(BUFFERS_MADE).fill(bufferBytes),
      ...new Array<number>(BLOCKS_IDLE_MAX).fill(BLOCK_BYTES),
    ]);
    this.output = output!;
    const blocks = pools.splice(BUFFERS_MADE);
    this.buffers = new BufferPool(bufferBytes, BUFFERS_IDLE_MAX, pools);
    this.blocks = new BufferPool(BLOCK_BYTES, BLOCKS_IDLE_MAX, blocks);
  }

  /** Those of a worker before, or new ones. */
  static take(headBytes: number): HttpBuffers {
    const earlier = released;
    released = undefined;
    return earlier?.headBytes === headBytes ? earlier : new HttpBuffers(headBytes);
  }

  /** For another worker: this one needs them no more. */
  release(): void {
    if (this.inUse === 0) released = this;
  }

  /** Buffers and blocks taken and not given back. */
  get inUse(): number {
    return this.buffers.inUse + this.blocks.inUse;
  }

  takeBuffer(): NativeMemory {
    return this.buffers.take();
  }

  /** Where in a buffer that was just taken to read to: there is room for a head before it. */
  readStart(buffer: NativeMemory): number {
    return buffer.start + HEADROOM_BYTES;
  }

  takeBlock(): NativeMemory {
    return this.blocks.take();
  }

  /** The smaller of the two that has room for `byteLength` bytes. */
  takeFor(byteLength: number): NativeMemory {
    if (byteLength <= BLOCK_BYTES) return this.blocks.take();
    const { bufferBytes } = this.buffers;
    return byteLength <= bufferBytes ? this.buffers.take() : new NativeMemory(byteLength);
  }

  give(memory: NativeMemory): void {
    if (memory.byteLength === BLOCK_BYTES) this.blocks.give(memory);
    else if (memory.byteLength === this.buffers.bufferBytes) this.buffers.give(memory);
  }
}
