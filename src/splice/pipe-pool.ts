import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { openPipe, type Pipe } from './pipe.js';

/** What a pool holds and has handed out; plain numbers, for gauges. */
export interface PipePoolGauges {
  /** Pipes ready to be taken. */
  pooled: number;
  /** Pipes taken and not given back. */
  inUse: number;
  /** Capacity of all of them, in bytes. */
  capacityBytes: number;
}

/**
 * The pipes of one worker, bounded by the bytes they can hold. A pump takes one for as long as
 * bytes are on their way, a turn of the loop in the common case, so that one pipe serves any number
 * of flows whose receivers keep up, and stays warm in the cache (last in, first out).
 */
export class PipePool {
  readonly gauges: PipePoolGauges = { pooled: 0, inUse: 0, capacityBytes: 0 };
  private readonly idle: Pipe[] = [];
  private readonly scratch = new NativeMemory(8);
  /** After a refusal: no pipe is opened before this time, because each try costs a system call. */
  private retryAtMs = 0;

  /**
   * @param pipeBytes capacity to ask for each pipe
   * @param memoryBytes limit on the capacity of all pipes together
   * @param idleMax pipes kept while nobody needs them
   */
  constructor(
    private readonly kernel: Kernel,
    private readonly pipeBytes: number,
    public memoryBytes: number,
    private readonly idleMax = 16,
  ) {}

  /**
   * An empty pipe, or `undefined` when the limit is reached or the kernel has none to give: the
   * caller copies.
   *
   * @param nowMs the loop's clock
   */
  take(nowMs: number): Pipe | undefined {
    const pooled = this.idle.pop();
    if (pooled !== undefined) {
      pooled.isPooled = false;
      this.gauges.pooled--;
      this.gauges.inUse++;
      return pooled;
    }
    if (nowMs < this.retryAtMs) return undefined;
    if (this.gauges.capacityBytes + this.pipeBytes > this.memoryBytes) return undefined;
    const pipe = openPipe(this.kernel, this.pipeBytes, this.scratch);
    if (typeof pipe === 'number') {
      this.retryAtMs = nowMs + 1000;
      return undefined;
    }
    if (pipe.capacityBytes < this.pipeBytes && pipe.capacityBytes < 65536) {
      // One page: splicing through it costs more calls than copying.
      pipe.close();
      this.retryAtMs = nowMs + 1000;
      return undefined;
    }
    this.gauges.inUse++;
    this.gauges.capacityBytes += pipe.capacityBytes;
    return pipe;
  }

  /**
   * The same for who can do without one, and may keep it for long: half of what there may be is left to the others.
   */
  takeSpare(nowMs: number): Pipe | undefined {
    const { inUse } = this.gauges;
    return (inUse + 1) * this.pipeBytes * 2 > this.memoryBytes ? undefined : this.take(nowMs);
  }

  /**
   * Takes a pipe back. One with bytes in it is closed: the next owner must find it empty.
   * @throws Error when it was given back already: two owners would mix their bytes
   */
  give(pipe: Pipe): void {
    if (pipe.isPooled) throw new Error('this pipe was given back before');
    this.gauges.inUse--;
    if (pipe.bytes === 0 && pipe.readEnd >= 0 && this.idle.length < this.idleMax) {
      pipe.isPooled = true;
      this.gauges.pooled++;
      this.idle.push(pipe);
      return;
    }
    this.gauges.capacityBytes -= pipe.capacityBytes;
    pipe.close();
  }

  /**
   * Closes the pipes nobody uses: two descriptors each, when descriptors have run out.
   *
   * @returns how many pipes were closed
   */
  releaseIdle(): number {
    const released = this.idle.length;
    for (const pipe of this.idle) {
      this.gauges.capacityBytes -= pipe.capacityBytes;
      pipe.close();
    }
    this.idle.length = 0;
    this.gauges.pooled = 0;
    return released;
  }
}
