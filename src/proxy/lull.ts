import { type Transport, unacknowledgedBytes } from '../splice/index.js';
import type { WorkerRoom } from './room.js';

/** Whoever must not be silent for too long. */
export interface Active {
  /** Of the last event of either side. */
  lastActivityMs: number;
}

/**
 * A time without an event, which is not always one in which nothing moves: a socket holds megabytes and has room again only when
 * a third of them is gone, for which a slow peer takes minutes. So what both peers have still to acknowledge is looked at
 * half-way and at the end. What has become less has moved.
 */
export class Lull {
  /** What both had still to acknowledge when that was looked at last. */
  private waitingBytes = 0;
  /** When that was, and since when there had been no event. */
  private lookedMs = 0;
  private sinceMs = -1;

  constructor(private readonly room: Pick<WorkerRoom, 'kernel' | 'clock'>) {}

  /** Somebody else is listened to. */
  begin(): void {
    this.sinceMs = -1;
  }

  /** @returns when to look next, on the loop's clock, unless there is an event */
  dueMs({ lastActivityMs }: Active, idleMs: number): number {
    if (this.sinceMs !== lastActivityMs) return lastActivityMs + idleMs / 2;
    // Whose first look came late, because the time was longer before, has half of it all the same.
    return Math.max(lastActivityMs + idleMs, this.lookedMs + idleMs / 2);
  }

  /**
   * Looks, if it is time. What has moved counts as activity.
   *
   * @returns whether nothing has moved for too long
   */
  isTooLong(active: Active, idleMs: number, client: Transport, upstream?: Transport): boolean {
    const { kernel, clock } = this.room;
    const { nowMs } = clock;
    if (nowMs < this.dueMs(active, idleMs)) return false;
    const hasLooked = this.sinceMs === active.lastActivityMs;
    const { waitingBytes } = this;
    this.waitingBytes = unacknowledgedBytes(kernel, client.fd);
    if (upstream !== undefined) this.waitingBytes += unacknowledgedBytes(kernel, upstream.fd);
    if (hasLooked && this.waitingBytes >= waitingBytes) return true;
    if (hasLooked) active.lastActivityMs = nowMs;
    this.sinceMs = active.lastActivityMs;
    this.lookedMs = nowMs;
    return false;
  }
}
