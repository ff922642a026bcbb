import type { Config, ListenerConfig } from '../config/index.js';
import { LISTENERS_MAX } from '../proxy/index.js';
import type { Kernel } from '../splice/index.js';
import type { InheritedListeners } from './inherited-listeners.js';
import { type BoundAddress, bindAddress, removeListenerFile } from './listening.js';

/** What a configuration asks for, bound and not yet in use. */
export interface BoundChange {
  readonly next: ReadonlyMap<string, BoundAddress>;
  readonly added: readonly BoundAddress[];
  readonly removed: readonly BoundAddress[];
}

/**
 * The sockets all listeners have, across reloads: an address that stays keeps its sockets and what
 * the kernel has queued in them, whatever else is said of its listener.
 */
export class BoundListeners {
  private current: ReadonlyMap<string, BoundAddress> = new Map();
  /** By position of their counters, which are never given to another name. */
  private readonly numbered: string[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly workers: number,
  ) {}

  get all(): BoundAddress[] {
    return [...this.current.values()];
  }

  /** Names of all listeners there were, in the order of their counters. */
  get names(): readonly string[] {
    return this.numbered;
  }

  /** Position of a listener's counters. */
  indexOf(name: string): number {
    return this.numbered.indexOf(name);
  }

  /**
   * Binds what is not bound yet.
   *
   * @param inherited sockets of the service manager, at start
   * @throws SystemCallError with the address, when one cannot be bound; RangeError when there were too
   *   many listeners since the start. Nothing has changed then.
   */
  async prepare({ listeners }: Config, inherited?: InheritedListeners): Promise<BoundChange> {
    const unserved = listeners.find(({ http }) => http !== null);
    if (unserved) throw new Error(`listener ${unserved.name}: http is not served by this version`);
    const newNames = listeners.filter(({ name }) => this.indexOf(name) < 0);
    if (this.numbered.length + newNames.length > LISTENERS_MAX) {
      throw new RangeError(`more than ${LISTENERS_MAX} listeners since the start`);
    }
    const next = new Map<string, BoundAddress>();
    const added: BoundAddress[] = [];
    try {
      for (const listener of listeners) {
        for (const [key, address] of keyed(listener)) {
          const kept = this.current.get(key);
          if (kept !== undefined) {
            next.set(key, { ...kept, listener });
            continue;
          }
          const bound = await bindAddress(this.kernel, listener, address, this.workers, inherited);
          added.push(bound);
          next.set(key, bound);
        }
      }
    } catch (error) {
      this.abandon(added);
      throw error;
    }
    const removed = [...this.current].filter(([key]) => !next.has(key)).map(([, one]) => one);
    return { next, added, removed };
  }

  /** The change is in force from here on: workers own its sockets. */
  adopt({ next, added }: BoundChange): void {
    this.current = next;
    for (const { listener } of next.values()) {
      if (this.indexOf(listener.name) < 0) this.numbered.push(listener.name);
    }
    for (const one of next.values()) {
      if (added.includes(one)) continue;
      // Again, for the backlog: it may be another one now.
      for (const fd of one.fds) this.kernel.listen(fd, one.listener.backlog);
    }
  }

  /** Closes what was bound for a change that is not made. */
  abandon(added: readonly BoundAddress[]): void {
    for (const one of added) {
      for (const fd of one.fds) this.kernel.close(fd);
      removeListenerFile(one);
    }
  }
}

/** The addresses of a listener, by what makes two of them the same across a reload. */
function keyed({ name, bind }: ListenerConfig): [string, ListenerConfig['bind'][number]][] {
  return bind.map((address, position) => {
    const isChosen =
      (address.family === 'inet' || address.family === 'inet6') && address.port === 0;
    return [isChosen ? `${address.text} ${name} ${position}` : address.text, address];
  });
}
