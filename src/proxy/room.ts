import type { Logger } from 'pino';
import type { PumpRoom } from '../splice/index.js';
import type { CaptureLane } from './capture/index.js';
import type { Counters } from './counters.js';
import type { EventLoop } from './event-loop.js';
import type { HandshakeTurns } from './handshake-turns.js';
import type { HeadLimits } from './http/index.js';
import type { Listener } from './listener.js';
import type { AccessLog } from './logging/index.js';
import type { ShadowSet } from './mirror/index.js';
import type { TimeoutsSnapshot } from './snapshot.js';
import type { HeadMemory } from './tcp/index.js';
import type { Upstream } from './upstream/index.js';

/** What every flow and listener of one worker shares. */
export interface WorkerRoom extends PumpRoom {
  readonly clock: EventLoop;
  readonly counters: Counters;
  readonly log: Logger;
  /** One log line for each flow that ended. */
  readonly logsAccess: boolean;
  /** Where these lines go. */
  readonly accessLog: AccessLog;
  /** Somebody may ask what requests are under way. */
  readonly notesRequests: boolean;
  readonly timeouts: TimeoutsSnapshot;
  /** Nothing new is accepted: what has not begun should end soon. */
  readonly isDraining: boolean;
  /** Where PROXY headers and ClientHellos are looked at. */
  readonly headMemory: HeadMemory;
  readonly headLimits: HeadLimits;
  /** Files that are kept open while nobody asks for them. */
  readonly cachedFilesMax: number;
  /** Position among the workers. */
  readonly number: number;
  /** Flows of all workers, against the limit of the process. */
  readonly connections: ConnectionLimit;
  /** Whose TLS handshake goes on in this turn. */
  readonly handshakes: HandshakeTurns;
  /** Connections that are given a copy of what clients send. */
  readonly shadows: ShadowSet;
  /** A name no other worker has had, of this process or another. */
  readonly uniqueName: string;
  /** Where flows that are captured are shown; nothing where nobody could take them. */
  readonly captures: CaptureLane | undefined;
  /** A number no other flow of this worker has had. */
  nextFlowSequence(): number;
  /** The upstream of the same name as it is now: it may have been replaced while a head was read. */
  currentUpstream(upstream: Upstream): Upstream;
  /** Asks the control thread where a name leads; `OutboundNames` hears the answer. */
  lookUp(name: string): void;
  /**
   * The first descriptor that HTTP's clients leave to upstreams. A client that is kept takes one for as long as it likes and
   * has none for its request; were the last of them clients, none of them could ever be answered.
   */
  readonly clientDescriptorsEnd: number;
  /** Closes what nobody uses: pipes, and connections that have ended in this turn. @returns whether there was anything */
  freeDescriptors(): boolean;
  /** A flow has ended and its descriptors are free again, at the end of this turn at the latest. */
  flowEnded(listener: Listener): void;
}

/**
 * A number of flows that all workers count together, in memory they share: first the number, by
 * atomic operations, then what each worker has added to it, so that it can be taken back should the
 * worker die.
 */
export class ConnectionLimit {
  private readonly count: Int32Array;
  private readonly own: number;

  /**
   * @param shared made by {@link createMemory}
   * @param max flows allowed
   * @param worker whose flows are counted, from 0
   */
  constructor(
    shared: SharedArrayBuffer,
    public max: number,
    worker: number,
  ) {
    this.count = new Int32Array(shared);
    this.own = 1 + worker;
  }

  static createMemory(workers: number): SharedArrayBuffer {
    return new SharedArrayBuffer((1 + workers) * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Takes a place if there is one. */
  enter(): boolean {
    if (Atomics.add(this.count, 0, 1) < this.max) {
      this.count[this.own]!++;
      return true;
    }
    Atomics.sub(this.count, 0, 1);
    return false;
  }

  leave(): void {
    this.count[this.own]!--;
    Atomics.sub(this.count, 0, 1);
  }

  /** Control: the worker is dead; its places are free. */
  forgetWorker(): void {
    Atomics.sub(this.count, 0, this.count[this.own]!);
    this.count[this.own] = 0;
  }
}
