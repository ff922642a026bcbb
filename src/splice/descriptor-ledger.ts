import { SocketOption, Splice, SyscallNumber } from './constants.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { Linger } from './structs.js';
import { int32At } from './syscalls.js';

/** What a thread has to do with a descriptor, one byte each. */
const Tenure = {
  none: 0,
  /** It opened it. */
  own: 1,
  /** It was handed it, may close it, and may be followed by somebody who needs it. */
  lent: 2,
} as const;

/** A process may have more descriptors than anybody keeps books on. */
const DESCRIPTORS_MAX = 1024 * 1024;

const lingerZero = new NativeMemory(Linger.size);
lingerZero.bytes.writeInt32LE(1, Linger.onoff);

/**
 * The descriptors one thread has open, in shared memory. The thread is the only writer while it
 * lives; once it is dead, whoever outlives it closes what it left. Descriptors above the ledger's
 * size are not kept.
 */
export class DescriptorLedger {
  private readonly tenures: Uint8Array;

  /** @param memory made by {@link createMemory} */
  constructor(memory: SharedArrayBuffer) {
    this.tenures = new Uint8Array(memory);
  }

  /** @param filesMax the limit of open files (RLIMIT_NOFILE); at most 1 Mi are kept */
  static createMemory(filesMax: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Math.min(filesMax, DESCRIPTORS_MAX));
  }

  /** The thread has opened it. */
  opened(fd: number): void {
    // Outside of its bounds a typed array takes no notice.
    this.tenures[fd] = Tenure.own;
  }

  /** The thread was handed it: it is closed by {@link closeLent}, not by {@link closeOwn}. */
  lend(fd: number): void {
    this.tenures[fd] = Tenure.lent;
  }

  /** The thread is about to close it. */
  closing(fd: number): void {
    this.tenures[fd] = Tenure.none;
  }

  /**
   * Closes what a dead thread had opened, connections with a reset.
   * @returns how many
   */
  closeOwn(kernel: Kernel): number {
    return this.closeAll(kernel, Tenure.own);
  }

  /** Closes what a dead thread was handed and has not closed, but for `kept`. @returns how many */
  closeLent(kernel: Kernel, kept?: ReadonlySet<number>): number {
    return this.closeAll(kernel, Tenure.lent, kept);
  }

  private closeAll(kernel: Kernel, tenure: number, kept?: ReadonlySet<number>): number {
    const { SOL_SOCKET, SO_LINGER } = SocketOption;
    const { address } = lingerZero;
    let closed = 0;
    const next = (fd: number): number => this.tenures.indexOf(tenure, fd + 1);
    for (let fd = next(-1); fd >= 0; fd = next(fd)) {
      if (kept?.has(fd)) continue;
      this.closing(fd);
      // ENOTSOCK says that it is none.
      if (tenure === Tenure.own) kernel.setsockopt(fd, SOL_SOCKET, SO_LINGER, address, Linger.size);
      kernel.close(fd);
      closed++;
    }
    return closed;
  }
}

/**
 * A kernel that keeps a ledger: one store for each descriptor that is opened or closed. Whoever adds
 * a call that opens one adds it here, too.
 *
 * An entry is made after the call that opens and deleted before the call that closes. A thread that
 * dies in between leaves a descriptor open, which is a pity; the other way round, one that somebody
 * else has got meanwhile would be closed.
 */
export function withLedger(kernel: Kernel, ledger: DescriptorLedger): Kernel {
  const opened = (fd: number): number => {
    if (fd >= 0) ledger.opened(fd);
    return fd;
  };
  return {
    ...kernel,
    accept4: (fd, address, length, flags) => opened(kernel.accept4(fd, address, length, flags)),
    fcntl(fd, command, argument) {
      const result = kernel.fcntl(fd, command, argument);
      return command === Splice.F_DUPFD_CLOEXEC ? opened(result) : result;
    },
    syscall(number, first, second, third, fourth) {
      const result = kernel.syscall(number, first, second, third, fourth);
      return number === SyscallNumber.openat2 ? opened(result) : result;
    },
    io_uring_setup: (entries, params) => opened(kernel.io_uring_setup(entries, params)),
    socket: (domain, type, protocol) => opened(kernel.socket(domain, type, protocol)),
    epoll_create1: (flags) => opened(kernel.epoll_create1(flags)),
    eventfd: (initial, flags) => opened(kernel.eventfd(initial, flags)),
    timerfd_create: (clock, flags) => opened(kernel.timerfd_create(clock, flags)),
    pipe2(fds, flags) {
      const result = kernel.pipe2(fds, flags);
      if (result >= 0) {
        ledger.opened(int32At(fds));
        ledger.opened(int32At(fds + 4));
      }
      return result;
    },
    close(fd) {
      ledger.closing(fd);
      return kernel.close(fd);
    },
  };
}
