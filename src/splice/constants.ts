/** `man 2 socket`, include/uapi/linux/net.h and linux/socket.h */
export const Socket = {
  AF_UNIX: 1,
  AF_INET: 2,
  AF_INET6: 10,
  SOCK_STREAM: 1,
  SOCK_DGRAM: 2,
  SOCK_NONBLOCK: 0o4000,
  SOCK_CLOEXEC: 0o2000000,
  SHUT_RD: 0,
  SHUT_WR: 1,
  SHUT_RDWR: 2,
  MSG_PEEK: 0x2,
  MSG_TRUNC: 0x20,
  MSG_DONTWAIT: 0x40,
  MSG_NOSIGNAL: 0x4000,
  MSG_MORE: 0x8000,
  MSG_ERRQUEUE: 0x2000,
  MSG_ZEROCOPY: 0x4000000,
} as const;

/** `man 7 socket`, `man 7 tcp`, `man 7 ipv6`; asm-generic/socket.h, linux/tcp.h, linux/in6.h */
export const SocketOption = {
  SOL_SOCKET: 1,
  SO_REUSEADDR: 2,
  SO_ERROR: 4,
  SO_KEEPALIVE: 9,
  SO_OOBINLINE: 10,
  SO_LINGER: 13,
  SO_REUSEPORT: 15,
  SO_RCVLOWAT: 18,
  SO_ACCEPTCONN: 30,
  IPPROTO_TCP: 6,
  SO_ZEROCOPY: 60,
  SO_BINDTOIFINDEX: 62,
  TCP_NODELAY: 1,
  TCP_MAXSEG: 2,
  TCP_CORK: 3,
  TCP_KEEPIDLE: 4,
  TCP_KEEPINTVL: 5,
  TCP_KEEPCNT: 6,
  TCP_DEFER_ACCEPT: 9,
  TCP_INFO: 11,
  TCP_QUICKACK: 12,
  TCP_CONGESTION: 13,
  TCP_USER_TIMEOUT: 18,
  TCP_FASTOPEN: 23,
  TCP_FASTOPEN_CONNECT: 30,
  TCP_ULP: 31,
  IPPROTO_IP: 0,
  IP_RECVERR: 11,
  IP_TRANSPARENT: 19,
  IP_BIND_ADDRESS_NO_PORT: 24,
  IPPROTO_IPV6: 41,
  IPV6_V6ONLY: 26,
  IPV6_RECVERR: 25,
  IPV6_TRANSPARENT: 75,
} as const;

/** `man 7 epoll`, include/uapi/linux/eventpoll.h. EPOLLET is bit 31: combine with `>>> 0`. */
export const Epoll = {
  EPOLLIN: 0x1,
  EPOLLPRI: 0x2,
  EPOLLOUT: 0x4,
  EPOLLERR: 0x8,
  EPOLLHUP: 0x10,
  EPOLLRDHUP: 0x2000,
  EPOLLEXCLUSIVE: 0x10000000,
  EPOLLET: 0x80000000,
  EPOLL_CTL_ADD: 1,
  EPOLL_CTL_DEL: 2,
  EPOLL_CTL_MOD: 3,
  EPOLL_CLOEXEC: 0o2000000,
} as const;

/** `man 2 splice`, `man 2 pipe2`, `man 2 fcntl`; include/linux/splice.h, linux/fcntl.h */
export const Splice = {
  SPLICE_F_MOVE: 1,
  SPLICE_F_NONBLOCK: 2,
  SPLICE_F_MORE: 4,
  SPLICE_F_GIFT: 8,
  O_NONBLOCK: 0o4000,
  O_CLOEXEC: 0o2000000,
  F_SETFD: 2,
  F_GETFL: 3,
  F_SETFL: 4,
  FD_CLOEXEC: 1,
  F_DUPFD_CLOEXEC: 1030,
  F_SETPIPE_SZ: 1031,
  F_GETPIPE_SZ: 1032,
} as const;

/**
 * `man 2 madvise`, `man 2 eventfd`, `man 2 timerfd_create`, `man 2 ioctl_tty`, `man 2 poll`, `man 2 prctl`;
 * asm-generic/mman-common.h, linux/time.h, asm-generic/ioctls.h, asm-generic/poll.h, linux/prctl.h
 */
export const Misc = {
  MADV_DONTNEED: 4,
  CLOCK_MONOTONIC: 1,
  TFD_NONBLOCK: 0o4000,
  TFD_CLOEXEC: 0o2000000,
  EFD_NONBLOCK: 0o4000,
  EFD_CLOEXEC: 0o2000000,
  FIONREAD: 0x541b,
  SIOCOUTQ: 0x5411,
  POLLIN: 0x1,
  POLLOUT: 0x4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_NO_NEW_PRIVS: 38,
} as const;

/**
 * `man 2 openat2`, `man 2 statx`, `man 2 posix_fadvise`; linux/openat2.h, linux/stat.h, linux/fcntl.h,
 * linux/fadvise.h (the same on x86-64, arm64 and riscv64, but for O_DIRECTORY)
 */
export const File = {
  AT_EMPTY_PATH: 0x1000,
  AT_SYMLINK_NOFOLLOW: 0x100,
  O_DIRECTORY: process.arch === 'arm64' ? 0o40000 : 0o200000,
  O_NONBLOCK: 0o4000,
  O_NOCTTY: 0o400,
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_PATH: 0o10000000,
  RESOLVE_NO_XDEV: 0x01,
  RESOLVE_NO_MAGICLINKS: 0x02,
  RESOLVE_NO_SYMLINKS: 0x04,
  RESOLVE_BENEATH: 0x08,
  STATX_BASIC_STATS: 0x7ff,
  S_IFMT: 0o170000,
  S_IFREG: 0o100000,
  S_IFDIR: 0o040000,
  S_IFLNK: 0o120000,
  POSIX_FADV_NORMAL: 0,
  POSIX_FADV_RANDOM: 1,
  POSIX_FADV_SEQUENTIAL: 2,
  POSIX_FADV_WILLNEED: 3,
  POSIX_FADV_DONTNEED: 4,
} as const;

/** linux/io_uring.h */
export const IoUring = {
  IORING_OFF_SQ_RING: 0,
  IORING_OFF_SQES: 0x10000000,
  /** One mapping for both queues: Linux 5.4. */
  IORING_FEAT_SINGLE_MMAP: 1,
  IORING_ENTER_GETEVENTS: 1,
  IORING_OP_NOP: 0,
  IORING_OP_CLOSE: 19,
  IORING_OP_SEND: 26,
  IORING_OP_RECV: 27,
} as const;

/** Numbers of calls without a wrapper in every C library; arch/x86 and include/uapi/asm-generic. */
export const SyscallNumber = {
  io_uring_setup: 425,
  io_uring_enter: 426,
  openat2: 437,
  fadvise64: process.arch === 'x64' ? 221 : 223,
  getdents64: process.arch === 'x64' ? 217 : 61,
} as const;
