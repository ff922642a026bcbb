import { isDeepStrictEqual } from 'node:util';
import type { Config, ListenerConfig } from '../../config/index.js';
import { LISTENERS_MAX } from '../../proxy/index.js';
import type { Kernel, SocketAddress } from '../../splice/index.js';
import type { Claim } from './claim.js';
import { InheritedListeners } from './inherited-listeners.js';
import { listenOptions, retune } from './listener-socket.js';
import { type BoundAddress, bindAddress, removeListenerFile } from './listening.js';

/** What a configuration asks for, bound and not yet in use. */
export interface BoundChange {
  readonly next: ReadonlyMap<string, BoundAddress>;
  readonly added: readonly BoundAddress[];
  readonly removed: readonly BoundAddress[];
  /** Sockets that stay and have other options now, with what they had. */
  readonly retuned: readonly { readonly socket: BoundAddress; readonly from: ListenerConfig }[];
}

/**
 * The sockets all listeners have, across reloads: an address that stays keeps its sockets and what
 * the kernel has queued in them, whatever else is said of its listener.
 */
export class BoundListeners {
  private current: ReadonlyMap<string, BoundAddress> = new Map();
  /** By position of their counters, which are never given to another name. */
  private readonly numbered: string[] = [];
  private hasFiles = true;

  /** @param inherited sockets of the service manager */
  constructor(
    private readonly kernel: Kernel,
    private readonly workers: number,
    private readonly inherited = InheritedListeners.none,
  ) {}

  get all(): BoundAddress[] {
    return [...this.current.values()];
  }

  /** What is bound now, that a new address may have to get along with. */
  get claims(): Claim[] {
    return this.all.map(({ claimed, fds }) => ({ address: claimed, fds }));
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
   * Binds what is not bound yet, and gives sockets that stay the options they should have.
   *
   * @param claims of others in this process
   * @throws SystemCallError with the address, when one cannot be bound or changed; RangeError when there
   *   were too many listeners since the start. Nothing has changed then.
   */
  async prepare({ listeners }: Config, claims: readonly Claim[] = []): Promise<BoundChange> {
    const newNames = listeners.filter(({ name }) => this.indexOf(name) < 0);
    if (this.numbered.length + newNames.length > LISTENERS_MAX) {
      throw new RangeError(`more than ${LISTENERS_MAX} listeners since the start`);
    }
    const next = new Map<string, BoundAddress>();
    const added: BoundAddress[] = [];
    const retuned: { socket: BoundAddress; from: ListenerConfig }[] = [];
    const surroundings = { inherited: this.inherited, claims: [...this.claims, ...claims] };
    try {
      for (const listener of listeners) {
        for (const [key, address] of keyed(listener)) {
          const kept = this.current.get(key);
          if (kept === undefined) {
            const bound = await bindAddress(
              this.kernel,
              listener,
              address,
              this.workers,
              surroundings,
            );
            added.push(bound);
            next.set(key, bound);
            continue;
          }
          next.set(key, { ...kept, listener });
          if (
            isDeepStrictEqual(tuning(kept.listener, kept.address), tuning(listener, kept.address))
          )
            continue;
          // First, because a failure may come when some of it is done.
          retuned.push({ socket: kept, from: kept.listener });
          retune(this.kernel, kept, listener);
        }
      }
    } catch (error) {
      this.abandon({ added, retuned });
      throw error;
    }
    const removed = [...this.current].filter(([key]) => !next.has(key)).map(([, one]) => one);
    return { next, added, removed, retuned };
  }

  /** The change is in force from here on: workers own its sockets. */
  adopt({ next, removed }: BoundChange): void {
    this.current = next;
    for (const { listener } of next.values()) {
      if (this.indexOf(listener.name) < 0) this.numbered.push(listener.name);
    }
    for (const one of removed) if (one.isInherited) this.inherited.giveBack(one.address);
  }

  /**
   * Removes the files of unix sockets, once: nobody finds them any more, and what is at their paths
   * later is somebody else's.
   */
  removeFiles(): void {
    if (!this.hasFiles) return;
    this.hasFiles = false;
    for (const one of this.all) removeListenerFile(one);
  }

  /** Closes the sockets of workers from this one on, of which there will be none. */
  closeFrom(worker: number): void {
    for (const { fds } of this.all) for (const fd of fds.slice(worker)) this.kernel.close(fd);
  }

  /** Undoes what was done for a change that is not made. */
  abandon({ added, retuned }: Pick<BoundChange, 'added' | 'retuned'>): void {
    for (const one of added) {
      for (const fd of one.fds) this.kernel.close(fd);
      removeListenerFile(one);
      if (one.isInherited) this.inherited.giveBack(one.address);
    }
    for (const { socket, from } of retuned) this.restore(socket, from);
  }

  /** What could be set before can be set again; if not, the socket still listens. */
  private restore(socket: BoundAddress, from: ListenerConfig): void {
    try {
      retune(this.kernel, socket, from);
    } catch {
      // The reason was told when the change failed.
    }
  }
}

/** What a listener says of its sockets. */
function tuning(listener: ListenerConfig, address: SocketAddress) {
  return { file: listener.socket, ...listenOptions(listener, address) };
}

/** The addresses of a listener, by what makes two of them the same across a reload. */
function keyed({ name, bind }: ListenerConfig): [string, ListenerConfig['bind'][number]][] {
  return bind.map((address, position) => {
    const isChosen =
      (address.family === 'inet' || address.family === 'inet6') && address.port === 0;
    return [isChosen ? `${address.text} ${name} ${position}` : address.text, address];
  });
}
