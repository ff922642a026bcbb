import type { BufferPool } from './buffer-pool.js';
import type { Kernel } from './kernel.js';
import type { PipePool } from './pipe-pool.js';

/** The time of the present turn, monotonic milliseconds; somebody else keeps it. */
export interface Clock {
  nowMs: number;
}

/** What all pumps of a worker share. */
export interface PumpRoom {
  readonly kernel: Kernel;
  readonly pipes: PipePool;
  readonly buffers: BufferPool;
  readonly clock: Clock;
}
