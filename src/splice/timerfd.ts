import { Misc } from './constants.js';
import { orThrow } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { Itimerspec } from './structs.js';

/**
 * An alarm in an epoll loop (timerfd_create(2)). Registered edge-triggered it need not be read:
 * setting it anew forgets what has expired.
 */
export class TimerFd {
  private readonly value = new NativeMemory(Itimerspec.size);
  private readonly fields = new BigInt64Array(this.value.bytes.buffer);

  /** @param fd a timerfd; {@link TimerFd.open} makes one */
  constructor(
    private readonly kernel: Kernel,
    public fd: number,
  ) {}

  /** @throws SystemCallError when the process has no descriptor left */
  static open(kernel: Kernel): TimerFd {
    const { CLOCK_MONOTONIC, TFD_NONBLOCK, TFD_CLOEXEC } = Misc;
    const flags = TFD_NONBLOCK | TFD_CLOEXEC;
    return new TimerFd(
      kernel,
      orThrow(kernel.timerfd_create(CLOCK_MONOTONIC, flags), 'timerfd_create'),
    );
  }

  /**
   * Sets the alarm, once; an earlier setting is void.
   * @param delayMs milliseconds from now, > 0
   */
  set(delayMs: number): void {
    const ns = BigInt(Math.max(1, Math.round(delayMs * 1e6)));
    this.fields[Itimerspec.valueSec / 8] = ns / 1_000_000_000n;
    this.fields[Itimerspec.valueNsec / 8] = ns % 1_000_000_000n;
    this.kernel.timerfd_settime(this.fd, 0, this.value.address);
  }

  /** Once, however often it is called: its number may be somebody else's by then. */
  close(): void {
    if (this.fd < 0) return;
    this.kernel.close(this.fd);
    this.fd = -1;
  }
}
