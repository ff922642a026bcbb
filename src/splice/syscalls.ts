import koffi from 'koffi';
import type { Kernel } from './kernel.js';
import { requireLength } from './whole-number.js';

/** The name of a call in {@link Kernel}, for counters and log lines. */
export type SyscallName = Exclude<keyof Kernel, 'monotonicMs' | 'spliceFile'>;

/**
 * libc as it is: −1 and `errno()`. This is the level at which faults are injected, below the EINTR
 * retry, so that a test sees the retry work.
 */
export interface Libc {
  readonly calls: Readonly<Record<SyscallName, (...args: number[]) => number>>;
  /** The error of the call that has just returned −1. */
  errno(): number;
}

// Pointers are declared uintptr_t: a number costs 10 ns less a call than a Buffer, and an offset
// into a buffer is then an addition.
const prototypes: Readonly<Record<SyscallName, string>> = {
  recv: 'long recv(int, uintptr_t, size_t, int)',
  send: 'long send(int, uintptr_t, size_t, int)',
  recvmsg: 'long recvmsg(int, uintptr_t, int)',
  sendmsg: 'long sendmsg(int, uintptr_t, int)',
  read: 'long read(int, uintptr_t, size_t)',
  write: 'long write(int, uintptr_t, size_t)',
  splice: 'long splice(int, uintptr_t, int, uintptr_t, size_t, uint)',
  tee: 'long tee(int, int, size_t, uint)',
  vmsplice: 'long vmsplice(int, uintptr_t, size_t, uint)',
  sendfile: 'long sendfile(int, int, uintptr_t, size_t)',
  copy_file_range: 'long copy_file_range(int, uintptr_t, int, uintptr_t, size_t, uint)',
  pread: 'long pread(int, uintptr_t, size_t, int64_t)',
  pwrite: 'long pwrite(int, uintptr_t, size_t, int64_t)',
  lseek: 'long lseek(int, long, int)',
  statx: 'int statx(int, uintptr_t, int, uint, uintptr_t)',
  pipe2: 'int pipe2(uintptr_t, int)',
  fcntl: 'int fcntl(int, int, long)',
  ioctl: 'int ioctl(int, ulong, uintptr_t)',
  close: 'int close(int)',
  socket: 'int socket(int, int, int)',
  bind: 'int bind(int, uintptr_t, uint)',
  listen: 'int listen(int, int)',
  accept4: 'int accept4(int, uintptr_t, uintptr_t, int)',
  connect: 'int connect(int, uintptr_t, uint)',
  shutdown: 'int shutdown(int, int)',
  getsockopt: 'int getsockopt(int, int, int, uintptr_t, uintptr_t)',
  setsockopt: 'int setsockopt(int, int, int, uintptr_t, uint)',
  getsockname: 'int getsockname(int, uintptr_t, uintptr_t)',
  getpeername: 'int getpeername(int, uintptr_t, uintptr_t)',
  epoll_create1: 'int epoll_create1(int)',
  epoll_ctl: 'int epoll_ctl(int, int, int, uintptr_t)',
  epoll_wait: 'int epoll_wait(int, uintptr_t, int, int)',
  poll: 'int poll(uintptr_t, ulong, int)',
  eventfd: 'int eventfd(uint, int)',
  timerfd_create: 'int timerfd_create(int, int)',
  timerfd_settime: 'int timerfd_settime(int, int, uintptr_t, uintptr_t)',
  sched_setaffinity: 'int sched_setaffinity(int, size_t, uintptr_t)',
  prctl: 'int prctl(int, ulong, ulong, ulong, ulong)',
  io_uring_setup: 'long syscall(long, uint, uintptr_t)',
  io_uring_enter: 'long syscall(long, uint, uint, uint, uint, uintptr_t, size_t)',
  syscall: 'long syscall(long, long, long, long, long)',
  madvise: 'int madvise(uintptr_t, size_t, int)',
};

/** Every call of {@link Kernel}, in a fixed order: counters are indexed by position here. */
export const syscallNames = Object.keys(prototypes) as readonly SyscallName[];

/** The version of koffi, by which the calls are made. */
export const koffiVersion: string = koffi.version;

let libc: Libc | undefined;

/**
 * The C library of this process.
 *
 * @throws when koffi cannot resolve a symbol, which on Linux means a C library that is not one
 */
export function loadLibc(): Libc {
  if (libc === undefined) {
    const library = koffi.load(null);
    const calls = Object.fromEntries(
      syscallNames.map((name) => [name, library.func(prototypes[name])]),
    ) as unknown as Libc['calls'];
    libc = { calls, errno: () => koffi.errno() };
  }
  return libc;
}

/** Where a buffer's bytes are; stays true for as long as the buffer lives outside V8's heap. */
export function addressOf(buffer: Uint8Array): number {
  return Number(koffi.address(buffer));
}

// mmap(2), asm-generic/mman-common.h; MAP_32BIT exists on x86-64 only.
const PROT_READ_WRITE = 0x3;
const MAP_PRIVATE_ANONYMOUS_32BIT = 0x2 | 0x20 | 0x40;
const MAP_SHARED_POPULATE = 0x1 | 0x8000;

type Mmap = (at: number, length: number, ...rest: [number, number, number, number]) => number;

let mmap: Mmap | undefined;
let munmap: ((address: number, length: number) => number) | undefined;
const MMAP = 'long mmap(uintptr_t, size_t, int, int, int, long)';

/**
 * Maps fresh memory below 2 GiB, for as long as the process lives.
 *
 * @param byteLength rounded up to whole pages by the kernel
 * @returns `undefined` where there is none to be had: another machine than x86-64, no room
 */
export function mapLowMemory(byteLength: number): ArrayBuffer | undefined {
  if (process.arch !== 'x64') return undefined;
  mmap ??= koffi.load(null).func(MMAP);
  const address = mmap(0, byteLength, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_32BIT, -1, 0);
  return address < 0 ? undefined : koffi.view(BigInt(address), byteLength);
}

/** Memory that the kernel reads and writes as well. */
export interface MappedMemory {
  readonly buffer: ArrayBuffer;
  readonly address: number;
}

/**
 * Maps what a descriptor stands for (mmap(2), MAP_SHARED).
 * @returns `undefined` where it cannot be mapped
 */
export function mapShared(
  fd: number,
  byteLength: number,
  offset: number,
): MappedMemory | undefined {
  mmap ??= koffi.load(null).func(MMAP);
  const address = mmap(0, byteLength, PROT_READ_WRITE, MAP_SHARED_POPULATE, fd, offset);
  if (address < 0) return undefined;
  return { address, buffer: koffi.view(BigInt(address), byteLength) };
}

/** Its buffer must not be touched any more. */
export function unmap({ address, buffer }: MappedMemory): void {
  munmap ??= koffi.load(null).func('int munmap(uintptr_t, size_t)');
  munmap(address, buffer.byteLength);
}

let memcpy: ((to: number, from: number, length: number) => number) | undefined;

/**
 * Copies bytes from one address to another (memcpy(3)); the two must not overlap. About 40 ns and the bytes. An
 * address where nothing is ends the process, as in C.
 * @throws RangeError when the length is negative or no number
 */
export function copyMemory(to: number, from: number, length: number): void {
  requireLength(length);
  memcpy ??= koffi.load(null).func('uintptr_t memcpy(uintptr_t, uintptr_t, size_t)');
  memcpy(to, from, length);
}

/** The `int` at an address: what a call has answered through a pointer. */
export function int32At(address: number): number {
  return koffi.decode(address, 'int');
}
