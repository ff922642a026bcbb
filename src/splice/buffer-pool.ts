import { NativeMemory } from './memory.js';

/** Buffers a pool begins with, in low memory; their pages cost nothing until they are written. */
const LOW_BUFFERS = 64;

/**
 * The copy buffers of one worker. Like a pipe, a buffer belongs to a pump only while it holds bytes
 * that could not be sent yet; all other flows share the one on top, so a quiet flow owns no memory.
 */
export class BufferPool {
  /** Buffers taken and not given back. */
  inUse = 0;

  /**
   * @param bufferBytes size of each buffer
   * @param idleMax buffers kept while nobody needs them
   * @param idle buffers to begin with
   */
  constructor(
    readonly bufferBytes: number,
    private readonly idleMax = 64,
    private readonly idle = NativeMemory.low(bufferBytes, Math.min(LOW_BUFFERS, idleMax)),
  ) {}

  /** A buffer of the size of the pool, made if none is idle; what is in it is what was left there. */
  take(): NativeMemory {
    this.inUse++;
    return this.idle.pop() ?? new NativeMemory(this.bufferBytes);
  }

  /** Takes a buffer back, once: whoever took it is not to touch it any more. */
  give(buffer: NativeMemory): void {
    this.inUse--;
    if (this.idle.length < this.idleMax) this.idle.push(buffer);
  }
}
