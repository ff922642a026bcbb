import { SyscallNumber } from './constants.js';
import { Errno } from './errno.js';
import { type Libc, loadLibc, type SyscallName } from './syscalls.js';

/**
 * The system calls of the data path, by the kernel's names. Every method answers like the kernel
 * itself: a result ≥ 0, or a negative error number. Pointers are numeric addresses (see
 * {@link NativeMemory}). EINTR never comes out: an interrupted call has been made again.
 *
 * The data path is handed a `Kernel` and calls nothing else, so that a test can hand it another.
 */
export interface Kernel {
  recv(fd: number, buffer: number, length: number, flags: number): number;
  send(fd: number, buffer: number, length: number, flags: number): number;
  /** With a control message; the same for sendmsg: see {@link Msghdr}. */
  recvmsg(fd: number, message: number, flags: number): number;
  sendmsg(fd: number, message: number, flags: number): number;
  read(fd: number, buffer: number, length: number): number;
  write(fd: number, buffer: number, length: number): number;
  /** splice(2) between a pipe and a socket: both offsets are NULL. */
  splice(fdIn: number, fdOut: number, length: number, flags: number): number;
  /** splice(2) with a file on one side; `offset` as for sendfile, of the side that is the file. */
  spliceFile(
    fdIn: number,
    offsetIn: number,
    fdOut: number,
    offsetOut: number,
    length: number,
    flags: number,
  ): number;
  /** Both are pipes; the bytes stay in the first. */
  tee(pipeIn: number, pipeOut: number, length: number, flags: number): number;
  /** Memory into a pipe by reference, or a pipe's bytes into memory. */
  vmsplice(pipe: number, iovecs: number, iovecCount: number, flags: number): number;
  /** @param offset address of a 64-bit offset, moved on by the call; 0 for the file's own */
  sendfile(fdOut: number, fdIn: number, offset: number, length: number): number;
  /** Offsets as for sendfile; the flags are 0. */
  copy_file_range(
    fdIn: number,
    offsetIn: number,
    fdOut: number,
    offsetOut: number,
    length: number,
  ): number;
  pread(fd: number, buffer: number, length: number, offset: number): number;
  pwrite(fd: number, buffer: number, length: number, offset: number): number;
  lseek(fd: number, offset: number, whence: number): number;
  statx(directory: number, path: number, flags: number, mask: number, result: number): number;
  pipe2(fds: number, flags: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  ioctl(fd: number, request: number, argument: number): number;
  close(fd: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: number, length: number): number;
  listen(fd: number, backlog: number): number;
  accept4(fd: number, address: number, length: number, flags: number): number;
  connect(fd: number, address: number, length: number): number;
  shutdown(fd: number, how: number): number;
  getsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  setsockopt(fd: number, level: number, name: number, value: number, length: number): number;
  getsockname(fd: number, address: number, length: number): number;
  getpeername(fd: number, address: number, length: number): number;
  epoll_create1(flags: number): number;
  epoll_ctl(epoll: number, operation: number, fd: number, event: number): number;
  /** Interrupted, it answers 0 events: the caller works out its timeout anew. */
  epoll_wait(epoll: number, events: number, eventsMax: number, timeoutMs: number): number;
  poll(fds: number, count: number, timeoutMs: number): number;
  eventfd(initial: number, flags: number): number;
  timerfd_create(clock: number, flags: number): number;
  /** The old value is not asked for. */
  timerfd_settime(fd: number, flags: number, value: number): number;
  madvise(address: number, length: number, advice: number): number;
  sched_setaffinity(pid: number, maskBytes: number, mask: number): number;
  /** The calling thread's; the further arguments are 0. */
  prctl(option: number, value: number): number;
  /** @param params address of {@link IoUringParams} */
  io_uring_setup(entries: number, params: number): number;
  /** No signals are masked meanwhile. */
  io_uring_enter(ring: number, toSubmit: number, minComplete: number, flags: number): number;
  /** A call without a wrapper in the C library, by its number; four arguments are enough here. */
  syscall(number: number, first: number, second: number, third: number, fourth: number): number;
  /** Milliseconds on a clock that never goes back, with fractions; its zero means nothing. */
  monotonicMs(): number;
}

/**
 * Told of every call that failed, once, with a positive error number; EAGAIN, EINTR and
 * EINPROGRESS are answers, not failures, and are left out.
 */
export type FailureObserver = (syscall: SyscallName, errno: number) => void;

/**
 * A {@link Kernel} over a C library.
 *
 * @param library the real one by default; a test's own to inject faults
 * @param onFailure counts failures; costs nothing while calls succeed
 */
export function createKernel(library: Libc = loadLibc(), onFailure?: FailureObserver): Kernel {
  const { calls, errno } = library;

  const failed = (name: SyscallName): number => {
    const error = errno();
    if (error === Errno.EINTR) return -Errno.EINTR;
    if (error !== Errno.EAGAIN && error !== Errno.EINPROGRESS) onFailure?.(name, error);
    return -error;
  };

  // For calls that are made once per connection or less.
  const retried = (name: SyscallName) => {
    const call = calls[name];
    return (...args: number[]): number => {
      for (;;) {
        let result = call(...args);
        if (result < 0) result = failed(name);
        if (result !== -Errno.EINTR) return result;
      }
    };
  };

  // The calls of every event are written out: each has its own call site, which V8 keeps
  // monomorphic, and no array of arguments.
  const { recv, send, read, write, splice, sendfile, pread, statx } = calls;
  const { epoll_wait, epoll_ctl, accept4, close, connect, io_uring_enter } = calls;
  // As a property of the global object it is a getter, called each time.
  const timeline = performance;
  const settime = retried('timerfd_settime');
  const copyFileRange = retried('copy_file_range');
  const prctl = retried('prctl');
  const ringSetup = retried('io_uring_setup');
  return {
    recv(fd, buffer, length, flags) {
      for (;;) {
        let result = recv(fd, buffer, length, flags);
        if (result < 0) result = failed('recv');
        if (result !== -Errno.EINTR) return result;
      }
    },
    send(fd, buffer, length, flags) {
      for (;;) {
        let result = send(fd, buffer, length, flags);
        if (result < 0) result = failed('send');
        if (result !== -Errno.EINTR) return result;
      }
    },
    read(fd, buffer, length) {
      for (;;) {
        let result = read(fd, buffer, length);
        if (result < 0) result = failed('read');
        if (result !== -Errno.EINTR) return result;
      }
    },
    write(fd, buffer, length) {
      for (;;) {
        let result = write(fd, buffer, length);
        if (result < 0) result = failed('write');
        if (result !== -Errno.EINTR) return result;
      }
    },
    splice(fdIn, fdOut, length, flags) {
      for (;;) {
        let result = splice(fdIn, 0, fdOut, 0, length, flags);
        if (result < 0) result = failed('splice');
        if (result !== -Errno.EINTR) return result;
      }
    },
    pread(fd, buffer, length, offset) {
      for (;;) {
        let result = pread(fd, buffer, length, offset);
        if (result < 0) result = failed('pread');
        if (result !== -Errno.EINTR) return result;
      }
    },
    statx(directory, path, flags, mask, answer) {
      for (;;) {
        let result = statx(directory, path, flags, mask, answer);
        if (result < 0) result = failed('statx');
        if (result !== -Errno.EINTR) return result;
      }
    },
    sendfile(fdOut, fdIn, offset, length) {
      for (;;) {
        let result = sendfile(fdOut, fdIn, offset, length);
        if (result < 0) result = failed('sendfile');
        if (result !== -Errno.EINTR) return result;
      }
    },
    epoll_ctl(epoll, operation, fd, event) {
      for (;;) {
        let result = epoll_ctl(epoll, operation, fd, event);
        if (result < 0) result = failed('epoll_ctl');
        if (result !== -Errno.EINTR) return result;
      }
    },
    epoll_wait(epoll, events, eventsMax, timeoutMs) {
      const result = epoll_wait(epoll, events, eventsMax, timeoutMs);
      if (result >= 0) return result;
      const error = failed('epoll_wait');
      return error === -Errno.EINTR ? 0 : error;
    },
    accept4(fd, address, length, flags) {
      for (;;) {
        let result = accept4(fd, address, length, flags);
        if (result < 0) result = failed('accept4');
        if (result !== -Errno.EINTR) return result;
      }
    },
    close(fd) {
      const result = close(fd);
      if (result >= 0) return result;
      // Linux has released the descriptor even when it answers EINTR: trying again could close
      // somebody else's (close(2), "Dealing with error returns from close()").
      const error = failed('close');
      return error === -Errno.EINTR ? 0 : error;
    },
    connect(fd, address, length) {
      const result = connect(fd, address, length);
      if (result >= 0) return result;
      // Interrupted, the connection goes on being made: the same as EINPROGRESS (connect(2)).
      const error = failed('connect');
      return error === -Errno.EINTR ? -Errno.EINPROGRESS : error;
    },
    io_uring_enter(ring, toSubmit, minComplete, flags) {
      const number = SyscallNumber.io_uring_enter;
      for (;;) {
        let result = io_uring_enter(number, ring, toSubmit, minComplete, flags, 0, 0);
        if (result < 0) result = failed('io_uring_enter');
        if (result !== -Errno.EINTR) return result;
      }
    },
    io_uring_setup: (entries, params) => ringSetup(SyscallNumber.io_uring_setup, entries, params),
    spliceFile: retried('splice'),
    madvise: retried('madvise'),
    recvmsg: retried('recvmsg'),
    sendmsg: retried('sendmsg'),
    poll: retried('poll'),
    tee: retried('tee'),
    vmsplice: retried('vmsplice'),
    copy_file_range: (fdIn, offsetIn, fdOut, offsetOut, length) =>
      copyFileRange(fdIn, offsetIn, fdOut, offsetOut, length, 0),
    pwrite: retried('pwrite'),
    lseek: retried('lseek'),
    pipe2: retried('pipe2'),
    fcntl: retried('fcntl'),
    ioctl: retried('ioctl'),
    socket: retried('socket'),
    bind: retried('bind'),
    listen: retried('listen'),
    shutdown: retried('shutdown'),
    getsockopt: retried('getsockopt'),
    setsockopt: retried('setsockopt'),
    getsockname: retried('getsockname'),
    getpeername: retried('getpeername'),
    epoll_create1: retried('epoll_create1'),
    eventfd: retried('eventfd'),
    timerfd_create: retried('timerfd_create'),
    timerfd_settime: (fd, flags, value) => settime(fd, flags, value, 0),
    sched_setaffinity: retried('sched_setaffinity'),
    prctl: (option, value) => prctl(option, value, 0, 0, 0),
    syscall: retried('syscall'),
    monotonicMs: () => timeline.now(),
  };
}
