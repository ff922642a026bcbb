/**
 * Byte layouts of the kernel structures the data path fills and reads. They are read by offset,
 * because decoding an object for each event would allocate; test/splice/structs.test.ts holds the
 * offsets against what koffi computes from the C declarations.
 */

/** linux/eventpoll.h; packed on x86-64 only (`EPOLL_PACKED`), so `data` moves with the machine. */
export const EpollEvent =
  process.arch === 'x64'
    ? ({ size: 12, events: 0, data: 4 } as const)
    : ({ size: 16, events: 0, data: 8 } as const);

/** linux/in.h; port and address in network byte order */
export const SockaddrIn = { size: 16, family: 0, port: 2, address: 4 } as const;

/** linux/in6.h; port and flowinfo in network byte order, scope_id in the machine's */
export const SockaddrIn6 = {
  size: 28,
  family: 0,
  port: 2,
  flowinfo: 4,
  address: 8,
  scopeId: 24,
} as const;

/** linux/un.h; an abstract name begins with a NUL byte, a path ends with one */
export const SockaddrUn = { size: 110, family: 0, path: 2, pathBytes: 108 } as const;

/** linux/socket.h `struct linger` */
export const Linger = { size: 8, onoff: 0, linger: 4 } as const;

/** linux/tcp.h `struct tcp_info`, the fields an access log line shows; times in microseconds */
export const TcpInfo = { size: 232, rtt: 68, totalRetrans: 100 } as const;

/** linux/time_types.h `struct itimerspec` with 64-bit fields: interval, then value */
export const Itimerspec = { size: 32, valueSec: 16, valueNsec: 24 } as const;

/** bits/types/struct_iovec.h: where the bytes are, and how many */
export const Iovec = { size: 16, base: 0, length: 8 } as const;

/** bits/socket.h `struct msghdr` */
export const Msghdr = {
  size: 56,
  iov: 16,
  iovlen: 24,
  control: 32,
  controllen: 40,
  flags: 48,
} as const;

/** bits/socket.h `struct cmsghdr`; `data` is where CMSG_DATA points, `len` counts the header */
export const Cmsghdr = { size: 16, len: 0, level: 8, type: 12, data: 16 } as const;

/** linux/errqueue.h `struct sock_extended_err`; `info` and `data` are the first and last of a range */
export const SockExtendedErr = {
  size: 16,
  errno: 0,
  origin: 4,
  type: 5,
  code: 6,
  pad: 7,
  info: 8,
  data: 12,
} as const;

/** bits/poll.h `struct pollfd` */
export const Pollfd = { size: 8, fd: 0, events: 4, revents: 6 } as const;
/** linux/openat2.h `struct open_how`: three 64-bit fields */
export const OpenHow = { size: 24, flags: 0, mode: 8, resolve: 16 } as const;

/** linux/io_uring.h `struct io_uring_params`, with the two structs of offsets into the queues that it ends with */
export const IoUringParams = {
  size: 120,
  sqEntries: 0,
  cqEntries: 4,
  features: 20,
  sqHead: 40,
  sqTail: 44,
  sqArray: 64,
  cqHead: 80,
  cqTail: 84,
  cqes: 100,
} as const;

/** linux/io_uring.h `struct io_uring_sqe`, as calls with an address, a length and flags use it */
export const IoUringSqe = {
  size: 64,
  opcode: 0,
  fd: 4,
  address: 16,
  length: 24,
  flags: 28,
  userData: 32,
} as const;

/** linux/io_uring.h `struct io_uring_cqe` */
export const IoUringCqe = { size: 16, userData: 0, result: 8 } as const;

/** linux/dirent.h `struct linux_dirent64`; the name ends with a NUL byte */
export const LinuxDirent64 = { recordLength: 16, name: 19 } as const;

/** linux/stat.h `struct statx`, the fields a file is told by; times are seconds (64 bits) and nanoseconds (32) */
export const Statx = {
  size: 256,
  mode: 28,
  inode: 32,
  fileSize: 40,
  changedSec: 96,
  changedNsec: 104,
  modifiedSec: 112,
  modifiedNsec: 120,
  deviceMajor: 136,
  deviceMinor: 140,
} as const;
