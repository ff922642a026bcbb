import type { NameAnswer } from '../../messages.js';
import type { WorkerRoom } from '../../room.js';

/** Names whose answer is kept, or awaited. */
const NAMES_MAX = 4096;
/** Requests that wait for an answer, over all names. */
const WAITERS_MAX = 1024;
/** A question that has no answer after so long was lost: the next request asks again. */
const LOST_MS = 15_000;

/** Who waits for an answer. */
export interface NameWaiter {
  onNameFound(answer: NameAnswer): void;
  onException(error: unknown): void;
}

/** A name that was asked for. */
class KnownName {
  /** Nothing before there is one, and while a new one is awaited. */
  answer: NameAnswer | undefined;
  expiresMs = 0;
  /** Since when one is awaited. */
  askedMs = Number.NEGATIVE_INFINITY;
  readonly waiters = new Set<NameWaiter>();
}

/**
 * Names that clients have asked for and nobody has listed. They are looked up by the control thread, where waiting
 * holds nobody up: one question for each name at a time, whose answer is kept for its TTL, good or bad.
 *
 * ```
 *   unknown ──asked──▶ awaited ──answered──▶ known ──TTL──▶ unknown
 * ```
 */
export class OutboundNames {
  private readonly names = new Map<string, KnownName>();
  private waiting = 0;

  constructor(private readonly worker: WorkerRoom) {}

  /** What is known of a name now; nothing when it has to be asked for. */
  find(host: string): NameAnswer | undefined {
    const known = this.names.get(host);
    const isFresh = known !== undefined && this.worker.clock.nowMs < known.expiresMs;
    return isFresh ? known.answer : undefined;
  }

  /** Asks for a name, unless that was done, and tells the waiter. @returns false when too many wait */
  wait(host: string, waiter: NameWaiter): boolean {
    if (this.waiting >= WAITERS_MAX) return false;
    const { nowMs } = this.worker.clock;
    const known = this.names.get(host) ?? this.add(host);
    known.waiters.add(waiter);
    this.waiting++;
    if (nowMs - known.askedMs < LOST_MS) return true;
    known.askedMs = nowMs;
    known.answer = undefined;
    this.worker.lookUp(host);
    return true;
  }

  /** It does not wait any more. */
  leave(host: string, waiter: NameWaiter): void {
    if (this.names.get(host)?.waiters.delete(waiter)) this.waiting--;
  }

  /** The control thread has answered. */
  answer(answer: NameAnswer): void {
    const known = this.names.get(answer.name);
    if (known === undefined) return;
    known.answer = answer;
    known.expiresMs = this.worker.clock.nowMs + answer.ttlMs;
    known.askedMs = Number.NEGATIVE_INFINITY;
    const waiters = [...known.waiters];
    known.waiters.clear();
    this.waiting -= waiters.length;
    for (const waiter of waiters) {
      try {
        waiter.onNameFound(answer);
      } catch (error) {
        waiter.onException(error);
      }
    }
  }

  private add(host: string): KnownName {
    if (this.names.size >= NAMES_MAX) this.forgetOldest();
    const known = new KnownName();
    this.names.set(host, known);
    return known;
  }

  /** There are fewer waiters than names, so there is one that nobody waits for. */
  private forgetOldest(): void {
    for (const [host, { waiters }] of this.names) {
      if (waiters.size > 0) continue;
      this.names.delete(host);
      return;
    }
  }
}
