import { connectReason } from '../connect-failure.js';
import type { CloseReason } from '../counters.js';
import type { Endpoint } from './endpoint.js';
import { QueuePlace, type Waiter } from './queue.js';
import { Selection, type Upstream } from './upstream.js';

/** Endpoints that one flow is refused by, or cannot reach, before it gives up. */
const FAILURES_MAX = 3;

const nobody: readonly Endpoint[] = [];

/**
 * A flow's way to an endpoint: whom it has tried, whose place it holds, where it waits.
 *
 * ```
 *   next ──▶ an endpoint ──connected──▶ end
 *    ▲ │         └─failed, release─┐
 *    │ └───▶ Full ──▶ wait         │
 *    └────────────────┴────────────┘
 * ```
 */
export class Attempts {
  /** The last one chosen. */
  endpoint: Endpoint | undefined;
  /** What to say when there is none left to try. */
  failure: CloseReason = 'no_endpoint';
  /** Endpoints chosen so far. */
  private chosen = 0;
  private tried = nobody;
  /** How many of them could not be connected to; how many may be passed over is for others to say. */
  private failures = 0;
  private holdsPlace = false;
  private queuePlace: QueuePlace | undefined;

  /** @param key what `Upstream.select` wants */
  constructor(
    public upstream: Upstream,
    private key: number,
  ) {}

  /** Begins anew, after {@link end}, for something else that goes somewhere. */
  again(upstream: Upstream, key: number): void {
    this.upstream = upstream;
    this.key = key;
    this.endpoint = undefined;
    this.failure = 'no_endpoint';
    this.chosen = 0;
    this.tried = nobody;
    this.failures = 0;
  }

  /** Endpoints chosen after another had failed. */
  get retries(): number {
    return Math.max(0, this.chosen - 1);
  }

  /** Another endpoint may be tried. */
  get mayContinue(): boolean {
    return this.failures < FAILURES_MAX && this.tried.length < this.upstream.endpoints.length;
  }

  /** The endpoint chosen last is one of the upstream's as it is now. */
  get isEndpointKept(): boolean {
    return this.upstream.endpoints.some(({ slot }) => slot === this.endpoint!.slot);
  }

  /** Chooses an endpoint that was not tried yet. Unless it is Full, a flow that waits has waited. */
  next(): Selection {
    const { upstream, queuePlace } = this;
    const isWaiting = queuePlace?.isQueued ?? false;
    // Nobody overtakes those who wait.
    if (!isWaiting && upstream.queue.length > 0) return Selection.Full;
    const selection = upstream.select(this.key, this.tried);
    if (selection === Selection.Full) return selection;
    if (isWaiting) upstream.queue.leave(queuePlace!);
    if (selection === Selection.None) return selection;
    this.endpoint = selection;
    this.chosen++;
    this.holdsPlace = true;
    return selection;
  }

  /** Joins the queue, after `next` was Full. @returns false when the queue is full, too */
  wait(waiter: Waiter): boolean {
    this.queuePlace ??= new QueuePlace(waiter);
    return this.upstream.queue.join(this.queuePlace);
  }

  connected(): void {
    this.endpoint!.connected();
  }

  /** The endpoint could not be connected to: it is not tried again. @param errno positive */
  failed(errno: number): void {
    const endpoint = this.endpoint!;
    this.tried = [...this.tried, endpoint];
    this.failures++;
    this.failure = connectReason(errno);
    endpoint.failed(errno);
    this.release();
  }

  /** The endpoint was connected to and did not do: it is not tried again. */
  passOver(): void {
    this.tried = [...this.tried, this.endpoint!];
    this.release();
  }

  /** Gives the place back; nothing is held against the endpoint. */
  release(): void {
    if (!this.holdsPlace) return;
    this.holdsPlace = false;
    this.endpoint!.ended();
  }

  /**
   * Goes on with another upstream, or with the same one after its endpoints changed. What was tried
   * is not tried again, and the place of a connection being made stays where it is.
   *
   * @returns false when the flow waits, and the queue there is full
   */
  moveTo(upstream: Upstream): boolean {
    const slots = this.tried.map(({ slot }) => slot);
    const wasWaiting = this.queuePlace?.isQueued ?? false;
    if (wasWaiting) this.upstream.queue.leave(this.queuePlace!);
    this.upstream = upstream;
    this.tried = upstream.endpoints.filter(({ slot }) => slots.includes(slot));
    this.failures = Math.min(this.failures, this.tried.length);
    return !wasWaiting || upstream.queue.join(this.queuePlace!);
  }

  /** The flow is over, wherever it was. */
  end(): void {
    if (this.queuePlace !== undefined) this.upstream.queue.leave(this.queuePlace);
    this.release();
  }
}
