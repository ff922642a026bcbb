import { Epoll } from './constants.js';
import { orThrow } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { EpollEvent } from './structs.js';

const EVENT_INTS = EpollEvent.size / 4;
const DATA_INT = EpollEvent.data / 4;

/**
 * An epoll instance whose events carry a descriptor **and** the generation of its registration, so
 * that an event for a descriptor that was closed and reused within one batch can be told apart.
 * Events are read in place by index; nothing is allocated per event.
 */
export class EventPoll {
  readonly fd: number;
  private readonly control = new NativeMemory(EpollEvent.size);
  private readonly controlInts: Int32Array;
  private readonly events: NativeMemory;
  private readonly eventInts: Int32Array;

  /**
   * @param eventsMax events fetched by one wait, ≥ 1
   * @throws SystemCallError when the process has no descriptor left
   */
  constructor(
    private readonly kernel: Kernel,
    private readonly eventsMax: number,
  ) {
    this.fd = orThrow(kernel.epoll_create1(Epoll.EPOLL_CLOEXEC), 'epoll_create1');
    this.events = NativeMemory.low(EpollEvent.size * eventsMax, 1)[0]!;
    this.controlInts = new Int32Array(this.control.bytes.buffer);
    const { buffer, byteOffset, byteLength } = this.events.bytes;
    this.eventInts = new Int32Array(buffer, byteOffset, byteLength / 4);
  }

  /** @returns 0, or a negative error number: ENOSPC (max_user_watches), ENOMEM */
  add(fd: number, events: number, generation: number): number {
    return this.ctl(Epoll.EPOLL_CTL_ADD, fd, events, generation);
  }

  /** @returns 0, or a negative error number */
  modify(fd: number, events: number, generation: number): number {
    return this.ctl(Epoll.EPOLL_CTL_MOD, fd, events, generation);
  }

  /** Needed only where the descriptor stays open: closing the last one deregisters it. */
  remove(fd: number): number {
    return this.kernel.epoll_ctl(this.fd, Epoll.EPOLL_CTL_DEL, fd, this.control.address);
  }

  /**
   * @param timeoutMs whole milliseconds; 0 looks only, −1 waits for ever
   * @returns the number of events, which {@link eventsAt} and its siblings give by index
   */
  wait(timeoutMs: number): number {
    return this.kernel.epoll_wait(this.fd, this.events.address, this.eventsMax, timeoutMs);
  }

  eventsAt(index: number): number {
    return this.eventInts[index * EVENT_INTS]!;
  }

  fdAt(index: number): number {
    return this.eventInts[index * EVENT_INTS + DATA_INT]!;
  }

  generationAt(index: number): number {
    return this.eventInts[index * EVENT_INTS + DATA_INT + 1]!;
  }

  close(): void {
    this.kernel.close(this.fd);
  }

  private ctl(operation: number, fd: number, events: number, generation: number): number {
    this.controlInts[0] = events;
    this.controlInts[DATA_INT] = fd;
    this.controlInts[DATA_INT + 1] = generation;
    return this.kernel.epoll_ctl(this.fd, operation, fd, this.control.address);
  }
}
