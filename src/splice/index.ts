/**
 * The kernel room: every system call that Headgate's data path makes, the Linux structures and
 * constants they need, and the pump that moves bytes between two sockets, by copying while they
 * are few and by splice(2) while they are many. It knows nothing of proxies, configuration or
 * threads, and is the public package entry `headgate/splice`.
 */
/// <reference types="node" preserve="true" />
export {
  decodeAddress,
  formatAddress,
  hostLength,
  hostOffset,
  isLoopbackSockaddr,
  isMapped,
  MAPPED_OFFSET,
  Sockaddr,
  type SocketAddress,
} from './address.js';
export {
  type CallBatch,
  type LateCloses,
  type LateSender,
  LateWrite,
  type LateWriter,
  type LateWrites,
  type ReaderAhead,
  type ReadsAhead,
  RingBatch,
  SerialBatch,
} from './batch/index.js';
export { BufferPool } from './buffer-pool.js';
export { Epoll, File, IoUring, Misc, Socket, SocketOption, Splice } from './constants.js';
export { DescriptorLedger, withLedger } from './descriptor-ledger.js';
export { type DirectoryEntry, readDirectory } from './directory-entries.js';
export { readAndDrop } from './discard.js';
export { EventPoll } from './epoll.js';
export { Errno, errnoName, orThrow, SystemCallError } from './errno.js';
export { EventFd } from './eventfd.js';
export { adviseFile, type FileAdvice } from './file-advice.js';
export { copyFile, type FileCopied, type FileCopyOptions, type FileCopyPath } from './file-copy.js';
export { spliceFromFile, spliceToFile } from './file-splice.js';
export { FileStamp } from './file-stamp.js';
export { type FileStatus, fileStatus } from './file-status.js';
export { GiftPages, lendToPipe } from './gift-pages.js';
export { readIPv4, readIPv6 } from './ip-text.js';
export { createKernel, type FailureObserver, type Kernel } from './kernel.js';
export { copyBytes, NativeMemory } from './memory.js';
export { openBeneath, openDirectory } from './open-beneath.js';
export { isSpliceRefusal, openPipe, Pipe } from './pipe.js';
export { PipePool, type PipePoolGauges } from './pipe-pool.js';
export { type CutReason, cutReasons, PipeTap } from './pipe-tap.js';
export { Nagle, PlainTransport } from './plain-transport.js';
export { Pump, type PumpOwner, TURN_BYTES_MAX, TURN_READ_BYTES } from './pump.js';
export { PUMP_SLOTS, type PumpMeter, PumpSlot } from './pump-meter.js';
export { createPumpRoom, PAIR_EVENTS, PairResult, PumpPair } from './pump-pair.js';
export { PumpResult } from './pump-result.js';
export type { Clock, PumpRoom } from './pump-room.js';
export { type PumpTap, TapPair } from './pump-tap.js';
export { FileSender, sendFile, sendfileAt } from './send-file.js';
export {
  acknowledge,
  type ConnectionQuality,
  changeListenOptions,
  connectionQuality,
  hideListener,
  isReadable,
  isWritable,
  type ListenOptions,
  localAddress,
  openBound,
  openConnection,
  openListener,
  peerAddress,
  peerSockaddr,
  resetSocket,
  setListenOptions,
  takeSocketError,
  unacknowledgedBytes,
} from './socket.js';
export {
  CongestionControl,
  type ConnectOptions,
  ConnectPlan,
  congestionControlOf,
  getOption,
  type Keepalive,
  type StreamOptions,
  setOption,
  TransparentSource,
} from './stream-options.js';
export {
  Cmsghdr,
  EpollEvent,
  IoUringCqe,
  IoUringParams,
  IoUringSqe,
  Iovec,
  Itimerspec,
  Linger,
  LinuxDirent64,
  Msghdr,
  OpenHow,
  Pollfd,
  SockaddrIn,
  SockaddrIn6,
  SockaddrUn,
  SockExtendedErr,
  Statx,
  TcpInfo,
} from './structs.js';
export {
  addressOf,
  copyMemory,
  koffiVersion,
  type Libc,
  loadLibc,
  type SyscallName,
  syscallNames,
} from './syscalls.js';
export { teePipe } from './tee.js';
export { TimerFd } from './timerfd.js';
export { Outcome, type Transport } from './transport.js';
export { type CompletionListener, ZeroCopySender } from './zero-copy-sender.js';
