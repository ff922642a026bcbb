import type { BodyRelay } from './body-relay.js';

/** The rate is a mean over so long. The first such time is grace: TCP starts slowly, and so do people's disks. */
const WINDOW_MS = 5000;
const NEVER = Number.POSITIVE_INFINITY;

/**
 * Whether a client sends the body of its request fast enough. Looked at once a window, so that it costs
 * nothing in between; a window in which the endpoint took nothing for a while is not held against the
 * client.
 */
export class BodyRate {
  /** When the window at hand is over; infinite when nothing is measured. */
  dueMs = NEVER;
  private bytesMin = 0;
  private bytesBefore = 0;
  private body: BodyRelay | undefined;

  /** @param bytesPerSecond what is expected; 0 for nothing */
  begin(body: BodyRelay, bytesPerSecond: number, nowMs: number): void {
    this.stop();
    if (bytesPerSecond === 0 || body.isRead) return;
    this.body = body;
    this.bytesMin = (bytesPerSecond * WINDOW_MS) / 1000;
    // The grace is a window that anything is enough for.
    this.dueMs = nowMs + WINDOW_MS;
    this.bytesBefore = Number.NEGATIVE_INFINITY;
  }

  stop(): void {
    this.dueMs = NEVER;
    this.body = undefined;
  }

  /**
   * Looks at the window that is over, and begins the next one.
   *
   * @param mayBegin the client may send its body: it need not wait for a 100 (Continue)
   * @returns true when the client was too slow
   */
  isLate(nowMs: number, mayBegin: boolean): boolean {
    const body = this.body!;
    if (nowMs < this.dueMs) return false;
    if (body.isRead) {
      this.stop();
      return false;
    }
    const wasBlocked = body.isHolding || body.wasBlocked;
    const isSlow = body.bytes - this.bytesBefore < this.bytesMin;
    if (isSlow && !wasBlocked && mayBegin) return true;
    body.wasBlocked = false;
    this.dueMs = nowMs + WINDOW_MS;
    this.bytesBefore = body.bytes;
    return false;
  }
}
