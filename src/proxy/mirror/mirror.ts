import type { WorkerRoom } from '../room.js';
import type { Upstream } from '../upstream/index.js';

/** What is mirrored where, as a worker is told it. */
export interface MirrorSnapshot {
  /** Position in `WorkerSnapshot.upstreams`. */
  readonly upstream: number;
  /** The part of flows or requests that is mirrored, from 0 to 1. */
  readonly sample: number;
  /** Of the listener and this worker, at a time. */
  readonly concurrentMax: number;
  /** Capacity of the pipes of one of them, bytes. */
  readonly bufferBytes: number;
  /** How long a shadow may take after the end, for the rest of the bytes and for its answer. */
  readonly timeoutMs: number;
}

/** The golden ratio: its multiples modulo 1 spread as evenly as a sequence can (Weyl). */
const STRIDE = 0.6180339887498949;

/** The decision which flows or requests of a listener are mirrored, and to whom. */
export class Mirror {
  readonly bufferBytes: number;
  readonly timeoutMs: number;
  private readonly position: number;
  private readonly sample: number;
  private readonly concurrentMax: number;
  /** No randomness: at any time the part that was mirrored is right to within a few. */
  private phase: number;

  /**
   * @param upstreams of the worker, where another one may take its place
   * @param listener position of its counters
   */
  constructor(
    private readonly room: WorkerRoom,
    snapshot: MirrorSnapshot,
    private readonly upstreams: readonly Upstream[],
    readonly listener: number,
  ) {
    this.position = snapshot.upstream;
    this.bufferBytes = snapshot.bufferBytes;
    this.timeoutMs = snapshot.timeoutMs;
    this.sample = snapshot.sample;
    this.concurrentMax = snapshot.concurrentMax;
    this.phase = (room.number * STRIDE) % 1;
  }

  get upstream(): Upstream {
    return this.upstreams[this.position]!;
  }

  /** Whether the next flow or request is mirrored. */
  takesNext(): boolean {
    this.phase = (this.phase + STRIDE) % 1;
    if (this.phase >= this.sample) return false;
    const { shadows, counters } = this.room;
    if (shadows.countOf(this.listener) < this.concurrentMax) return true;
    counters.countMirrorCut(this.listener, 'busy');
    return false;
  }
}
