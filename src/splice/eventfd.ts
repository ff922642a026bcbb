import { Misc } from './constants.js';
import { orThrow } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';

/** A bell one thread rings and another hears in its epoll loop (eventfd(2)). */
export class EventFd {
  private readonly value = new NativeMemory(8);

  /** @param fd an eventfd; {@link EventFd.open} makes one; −1 once it is closed */
  constructor(
    private readonly kernel: Kernel,
    public fd: number,
  ) {}

  /** @throws SystemCallError when the process has no descriptor left */
  static open(kernel: Kernel): EventFd {
    const fd = orThrow(kernel.eventfd(0, Misc.EFD_NONBLOCK | Misc.EFD_CLOEXEC), 'eventfd');
    return new EventFd(kernel, fd);
  }

  /** Makes the descriptor readable. Rung twice before it is heard, it is heard once. */
  ring(): void {
    this.value.bytes.writeBigUInt64LE(1n);
    this.kernel.write(this.fd, this.value.address, 8);
  }

  /** Makes it quiet again. */
  hear(): void {
    this.kernel.read(this.fd, this.value.address, 8);
  }

  /** Once, however often it is called: its number may be somebody else's by then. */
  close(): void {
    if (this.fd < 0) return;
    this.kernel.close(this.fd);
    this.fd = -1;
  }
}
