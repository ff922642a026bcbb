import type { Logger } from 'pino';
import type { PumpRoom } from '../splice/index.js';
import type { Counters } from './counters.js';
import type { EventLoop } from './event-loop.js';
import type { Listener } from './listener.js';
import type { TimeoutsSnapshot } from './snapshot.js';
import type { Upstream } from './upstream/index.js';

/** What every flow and listener of one worker shares. */
export interface WorkerRoom extends PumpRoom {
  readonly clock: EventLoop;
  readonly counters: Counters;
  readonly log: Logger;
  /** One log line for each flow that ended. */
  readonly logsAccess: boolean;
  readonly timeouts: TimeoutsSnapshot;
  /** Nothing new is accepted: what has not begun should end soon. */
  readonly isDraining: boolean;
  /** Flows of all workers, against the limit of the process. */
  readonly connections: ConnectionLimit;
  /** A number no other flow of this worker has had. */
  nextFlowSequence(): number;
  /** The upstream of the same name as it is now: it may have been replaced while a head was read. */
  currentUpstream(upstream: Upstream): Upstream;
  /** A flow has ended and its descriptors are free again. */
  flowEnded(listener: Listener): void;
}

/** The number of flows in the whole process, in memory all workers share. */
export class ConnectionLimit {
  private readonly count: Int32Array;

  /**
   * @param shared one Int32, written by atomic operations only
   * @param max flows allowed
   */
  constructor(
    shared: SharedArrayBuffer,
    public max: number,
  ) {
    this.count = new Int32Array(shared);
  }

  /** Takes a place if there is one. */
  enter(): boolean {
    if (Atomics.add(this.count, 0, 1) < this.max) return true;
    Atomics.sub(this.count, 0, 1);
    return false;
  }

  leave(): void {
    Atomics.sub(this.count, 0, 1);
  }
}
