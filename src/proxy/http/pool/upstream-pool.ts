import type { EventLoop } from '../../event-loop.js';
import { Timer, type TimerOwner } from '../../timer-wheel.js';
import type { Endpoint, Upstream } from '../../upstream/index.js';
import type { IdleKeeper, UpstreamConnection } from './upstream-connection.js';

/** The idle connections of one endpoint, in the order in which they became idle. */
interface Stack {
  /** The endpoint's slot, and who it is: a slot may be given to another one, and an address may be met under another name. */
  readonly slot: number;
  readonly pooledAs: string;
  idleTimeoutMs: number;
  length: number;
  oldest: UpstreamConnection | undefined;
  newest: UpstreamConnection | undefined;
}

/**
 * The idle upstream connections of one worker, by endpoint. The one that was used last is used next, so
 * that the others grow old and are closed when fewer are needed. Whatever happens to an idle
 * connection is an end: the endpoint closed it, or speaks out of turn.
 */
export class UpstreamPool implements TimerOwner, IdleKeeper {
  /** Idle connections of all endpoints. */
  idle = 0;
  /** Connections made under an earlier one do not come back. */
  epoch = 0;
  /** By the endpoint's slot. */
  private readonly stacks: (Stack | undefined)[] = [];
  private readonly timer = new Timer(this);

  constructor(private readonly loop: EventLoop) {}

  /** An idle connection to the endpoint, which is idle no more; nothing when there is none. */
  take(endpoint: Endpoint): UpstreamConnection | undefined {
    const stack = this.stacks[endpoint.slot];
    if (stack === undefined || stack.pooledAs !== endpoint.pooledAs) return undefined;
    for (;;) {
      const connection = stack.newest;
      if (connection === undefined) return undefined;
      if (this.loop.nowMs < connection.idleSinceMs + connection.patienceMs) {
        this.unlink(stack, connection);
        return connection;
      }
      // The endpoint may be closing it right now: a request that must not be repeated would be lost.
      this.remove(connection);
    }
  }

  /** Keeps a connection that is in order and has nothing under way, or closes it if there are enough. */
  give(connection: UpstreamConnection, { idleMax, idleTimeoutMs }: Upstream): void {
    connection.user = undefined;
    const { slot, pooledAs } = connection.endpoint;
    let stack = this.stacks[slot];
    if (stack === undefined || (stack.length === 0 && stack.pooledAs !== pooledAs)) {
      stack = newStack(slot, pooledAs);
      this.stacks[slot] = stack;
    }
    stack.idleTimeoutMs = idleTimeoutMs;
    const isWelcome =
      stack.pooledAs === pooledAs && stack.length < idleMax && connection.patienceMs > 0;
    if (!isWelcome || connection.epoch !== this.epoch) {
      connection.close();
      return;
    }
    connection.isReused = true;
    connection.idleSinceMs = this.loop.nowMs;
    connection.older = stack.newest;
    if (stack.newest === undefined) stack.oldest = connection;
    else stack.newest.newer = connection;
    stack.newest = connection;
    stack.length++;
    this.idle++;
    if (!this.timer.isScheduled) this.watch();
  }

  /** An idle connection is of no use any more. */
  remove(connection: UpstreamConnection): void {
    this.unlink(this.stacks[connection.endpoint.slot]!, connection);
    connection.close();
  }

  /** Names lead elsewhere: connections to endpoints that are still there go on. */
  replaceUpstreams(upstreams: readonly Upstream[]): void {
    const present: (string | undefined)[] = [];
    for (const { endpoints } of upstreams) {
      for (const { slot, pooledAs } of endpoints) present[slot] = pooledAs;
    }
    for (const stack of this.stacks) {
      if (stack !== undefined && present[stack.slot] !== stack.pooledAs) this.clear(stack);
    }
  }

  /** Another configuration: what was connected by the earlier one carries no further request. */
  configure(): void {
    this.epoch++;
    this.close();
  }

  /** Closes what is idle. */
  close(): void {
    for (const stack of this.stacks) if (stack !== undefined) this.clear(stack);
    this.loop.wheel.cancel(this.timer);
  }

  onTimer(): void {
    const { nowMs } = this.loop;
    for (const stack of this.stacks) {
      if (stack === undefined) continue;
      for (;;) {
        const { oldest, idleTimeoutMs } = stack;
        if (oldest === undefined || oldest.idleSinceMs + idleTimeoutMs > nowMs) break;
        this.remove(oldest);
      }
    }
    if (this.idle > 0) this.watch();
  }

  /** Nothing here throws but a bug of the lists. */
  onException(error: unknown): void {
    throw error;
  }

  /** Looks again when the first one may have been idle for long enough. */
  private watch(): void {
    let dueMs = Number.POSITIVE_INFINITY;
    for (const stack of this.stacks) {
      if (stack?.oldest === undefined) continue;
      dueMs = Math.min(dueMs, stack.oldest.idleSinceMs + stack.idleTimeoutMs);
    }
    this.loop.wheel.schedule(this.timer, dueMs);
  }

  private clear(stack: Stack): void {
    while (stack.oldest !== undefined) this.remove(stack.oldest);
    this.stacks[stack.slot] = undefined;
  }

  private unlink(stack: Stack, connection: UpstreamConnection): void {
    const { older, newer } = connection;
    if (older === undefined) stack.oldest = newer;
    else older.newer = newer;
    if (newer === undefined) stack.newest = older;
    else newer.older = older;
    connection.older = undefined;
    connection.newer = undefined;
    stack.length--;
    this.idle--;
  }
}

function newStack(slot: number, pooledAs: string): Stack {
  return { slot, pooledAs, idleTimeoutMs: 0, length: 0, oldest: undefined, newest: undefined };
}
