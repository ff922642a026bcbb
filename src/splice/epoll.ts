import { Epoll } from './constants.js';
import { orThrow } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { EpollEvent } from './structs.js';
import { requireWhole } from './whole-number.js';

const EVENT_INTS = EpollEvent.size / 4;
const DATA_INT = EpollEvent.data / 4;
/** epoll_wait(2) takes an `int`. */
const TIMEOUT_MS_MAX = 0x7fffffff;
/** EP_MAX_EVENTS (fs/eventpoll.c). */
const EVENTS_MAX = Math.floor(0x7fffffff / EpollEvent.size);

/**
 * An epoll instance whose events carry a descriptor **and** the generation of its registration, so
 * that an event for a descriptor that was closed and reused within one batch can be told apart.
 * Events are read in place by index; nothing is allocated per event.
 */
export class EventPoll {
  /** −1 once it is closed. */
  fd: number;
  private readonly control = new NativeMemory(EpollEvent.size);
  private readonly controlInts: Int32Array;
  private readonly events: NativeMemory;
  private readonly eventInts: Int32Array;

  /**
   * @param eventsMax events fetched by one wait, ≥ 1
   * @throws SystemCallError when the process has no descriptor left; RangeError
   */
  constructor(
    private readonly kernel: Kernel,
    private readonly eventsMax: number,
  ) {
    requireWhole('eventsMax', eventsMax, 1, EVENTS_MAX);
    this.events = NativeMemory.low(EpollEvent.size * eventsMax, 1)[0]!;
    this.controlInts = new Int32Array(this.control.bytes.buffer);
    const { buffer, byteOffset, byteLength } = this.events.bytes;
    this.eventInts = new Int32Array(buffer, byteOffset, byteLength / 4);
    // Last: what is thrown before leaves no descriptor behind.
    this.fd = orThrow(kernel.epoll_create1(Epoll.EPOLL_CLOEXEC), 'epoll_create1');
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
   * @param timeoutMs whole milliseconds; 0 looks only, −1 waits for ever, which nothing of Node's ends: an EventFd does
   * @returns the number of events, which {@link eventsAt} and its siblings give by index, or a negative error number:
   *   EBADF once it is closed, so that a loop can end
   * @throws RangeError when the time is no number, or above 2³¹ − 1
   */
  wait(timeoutMs: number): number {
    // Infinity would be no time at all.
    if (!(timeoutMs <= TIMEOUT_MS_MAX)) requireWhole('timeoutMs', timeoutMs, -1, TIMEOUT_MS_MAX);
    return this.kernel.epoll_wait(this.fd, this.events.address, this.eventsMax, timeoutMs);
  }

  /** EPOLLIN and its like, of an event of the last wait; `index` is below what it answered. */
  eventsAt(index: number): number {
    return this.eventInts[index * EVENT_INTS]!;
  }

  /** The descriptor that it is about. */
  fdAt(index: number): number {
    return this.eventInts[index * EVENT_INTS + DATA_INT]!;
  }

  /** What the descriptor was added with: an event of another generation is about one that was closed meanwhile. */
  generationAt(index: number): number {
    return this.eventInts[index * EVENT_INTS + DATA_INT + 1]!;
  }

  /** Once, however often it is called: its number may be somebody else's by then. */
  close(): void {
    if (this.fd < 0) return;
    this.kernel.close(this.fd);
    this.fd = -1;
  }

  private ctl(operation: number, fd: number, events: number, generation: number): number {
    this.controlInts[0] = events;
    this.controlInts[DATA_INT] = fd;
    this.controlInts[DATA_INT + 1] = generation;
    return this.kernel.epoll_ctl(this.fd, operation, fd, this.control.address);
  }
}
