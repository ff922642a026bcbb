import { type Clock, systemClock, type Timer } from '../discovery/index.js';

/** The share an endpoint begins with, and the one it ends with, in thousandths of its weight. */
const SHARE_FIRST = 100;
const SHARE_FULL = 1_000;
const STEPS = 20;

/**
 * An endpoint that comes back gets its connections little by little: its share of its weight grows from a tenth
 * to the whole within a window, in twenty equal steps.
 */
export class SlowStart {
  private timer: Timer | undefined;
  private startedAtMs = 0;

  /**
   * @param windowMs 0 gives the whole share at once
   * @param onShare called with thousandths of the weight, 100 to 1000; the first time within {@link begin}
   */
  constructor(
    private readonly windowMs: number,
    private readonly onShare: (thousandths: number) => void,
    private readonly clock: Clock = systemClock,
  ) {}

  /** Whether the share is still growing. */
  get isUnderWay(): boolean {
    return this.timer !== undefined;
  }

  /** When the share began to grow; nothing unless it still does. */
  get beganAtMs(): number | undefined {
    return this.isUnderWay ? this.startedAtMs : undefined;
  }

  /**
   * From the beginning, also when it is under way: for each change from down to up.
   *
   * @param startedAtMs earlier than now for what goes on here and began elsewhere
   */
  begin(startedAtMs = this.clock.now()): void {
    this.stop();
    this.startedAtMs = startedAtMs;
    this.step();
  }

  /** The share stays what it was; for an endpoint that is down again, or gone. Leaves no timer. */
  stop(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  /** By what the clock says, so that a late timer skips steps and does not lengthen the window. */
  private step(): void {
    const stepMs = this.windowMs / STEPS;
    const elapsedMs = this.clock.now() - this.startedAtMs;
    // Half a millisecond: timers may ring that much early.
    const steps = stepMs === 0 ? STEPS : Math.min(STEPS, Math.floor((elapsedMs + 0.5) / stepMs));
    this.timer =
      steps === STEPS
        ? undefined
        : this.clock.setTimeout(() => this.step(), Math.max(1, (steps + 1) * stepMs - elapsedMs));
    this.onShare(SHARE_FIRST + ((SHARE_FULL - SHARE_FIRST) * steps) / STEPS);
  }
}
