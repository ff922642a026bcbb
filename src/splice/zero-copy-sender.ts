import { Socket, SocketOption } from './constants.js';
import { Errno } from './errno.js';
import type { Kernel } from './kernel.js';
import { NativeMemory } from './memory.js';
import { setOption } from './stream-options.js';
import { Cmsghdr, Msghdr, SockExtendedErr } from './structs.js';
import { Outcome } from './transport.js';
import { requireWhole } from './whole-number.js';

/**
 * Told that sends need their memory no longer.
 *
 * @param first number of the first send of the range: the first of a sender is 0, then up by one,
 *   and 0 again after 2³² − 1
 * @param last the last, included
 * @param isCopied the kernel copied after all (loopback always does; some devices): a reason to stop
 */
export type CompletionListener = (first: number, last: number, isCopied: boolean) => void;

// linux/errqueue.h
const SO_EE_ORIGIN_ZEROCOPY = 5;
const SO_EE_CODE_ZEROCOPY_COPIED = 1;

const CONTROL_BYTES = 128;
const control = new NativeMemory(CONTROL_BYTES);
const message = new NativeMemory(Msghdr.size);

/** Senders whose memory the kernel still reads: nobody else may have kept them. */
const holders = new Set<ZeroCopySender>();

/**
 * Sends memory without copying it into the kernel (MSG_ZEROCOPY, Documentation/networking/msg_zerocopy.rst).
 * The memory must not change until its send has completed; it is kept from the garbage collector for
 * so long, and so is the sender. Completions come by the socket's error queue: EPOLLERR says that some are there, then
 * {@link reap} is called. Pinning pages costs, so it pays for about 10 KiB a send and up.
 *
 * One sender a socket, for all of its zero-copy sends: the kernel numbers them.
 */
export class ZeroCopySender {
  /** Sends that have completed, and how many of them the kernel had copied. */
  completed = 0;
  copied = 0;
  /** Sends that were refused for want of memory (ENOBUFS) and made as ordinary, copying ones. */
  refused = 0;
  /** Error number of the last Failed or NotSpliceable, positive; 0 before any. */
  errno = 0;
  private isEnabled = false;
  private next = 0;
  private readonly held = new Map<number, NativeMemory>();

  /**
   * @param fd a connected TCP socket; stays the caller's to close, after `pending` has become 0
   */
  constructor(
    private readonly kernel: Kernel,
    readonly fd: number,
    private readonly onCompleted?: CompletionListener,
  ) {}

  /** Sends whose memory is still the kernel's. */
  get pending(): number {
    return this.held.size;
  }

  /** Number of the last zero-copy send; −1 before any. */
  get lastNumber(): number {
    return this.next - 1;
  }

  /**
   * Once, before the first send; without it sends are ordinary ones.
   * @returns 0, or NotSpliceable: a kernel or a kind of socket without it
   */
  enable(): number {
    const { SOL_SOCKET, SO_ZEROCOPY } = SocketOption;
    const result = setOption(this.kernel, this.fd, SOL_SOCKET, SO_ZEROCOPY, 1);
    this.isEnabled = result >= 0;
    if (this.isEnabled) return 0;
    this.errno = -result;
    return Outcome.NotSpliceable;
  }

  /**
   * Sends, by reference if the kernel has memory to keep account of it (net.core.optmem_max,
   * RLIMIT_MEMLOCK), else by an ordinary copy, which needs no completion.
   *
   * @returns bytes sent, or Blocked, Failed
   * @throws RangeError when the part is empty or not all inside `memory`
   */
  send(memory: NativeMemory, offset = 0, length = memory.byteLength - offset): number {
    const { kernel, fd } = this;
    const address = memory.addressOf(offset, length);
    requireWhole('length', length, 1);
    // Without SO_ZEROCOPY the kernel overlooks MSG_ZEROCOPY: nothing would ever complete.
    const flags = this.isEnabled ? Socket.MSG_NOSIGNAL | Socket.MSG_ZEROCOPY : Socket.MSG_NOSIGNAL;
    let result = kernel.send(fd, address, length, flags);
    if (result > 0) {
      if (!this.isEnabled) return result;
      this.held.set(this.next, memory);
      holders.add(this);
      this.next = (this.next + 1) >>> 0;
      return result;
    }
    if (result === -Errno.ENOBUFS) {
      this.refused++;
      result = kernel.send(fd, address, length, Socket.MSG_NOSIGNAL);
      if (result > 0) return result;
    }
    if (result === -Errno.EAGAIN) return Outcome.Blocked;
    this.errno = -result;
    return Outcome.Failed;
  }

  /**
   * Takes what has completed from the error queue, until it is empty.
   *
   * @returns how many sends completed, or Failed
   */
  reap(): number {
    let reaped = 0;
    for (;;) {
      message.bytes.fill(0);
      message.bytes.writeBigUInt64LE(BigInt(control.address), Msghdr.control);
      message.bytes.writeBigUInt64LE(BigInt(CONTROL_BYTES), Msghdr.controllen);
      const flags = Socket.MSG_ERRQUEUE | Socket.MSG_DONTWAIT;
      const result = this.kernel.recvmsg(this.fd, message.address, flags);
      if (result === -Errno.EAGAIN) return reaped;
      if (result < 0) {
        this.errno = -result;
        return Outcome.Failed;
      }
      const { bytes } = control;
      const length = Number(message.bytes.readBigUInt64LE(Msghdr.controllen));
      if (length < Cmsghdr.size + SockExtendedErr.size || !isCompletion()) continue;
      const first = bytes.readUInt32LE(Cmsghdr.data + SockExtendedErr.info);
      const last = bytes.readUInt32LE(Cmsghdr.data + SockExtendedErr.data);
      const code = bytes[Cmsghdr.data + SockExtendedErr.code];
      reaped += this.complete(first, last, code === SO_EE_CODE_ZEROCOPY_COPIED);
    }
  }

  private complete(first: number, last: number, isCopied: boolean): number {
    const count = ((last - first) >>> 0) + 1;
    for (let index = 0; index < count; index++) this.held.delete((first + index) >>> 0);
    if (this.held.size === 0) holders.delete(this);
    this.completed += count;
    if (isCopied) this.copied += count;
    this.onCompleted?.(first, last, isCopied);
    return count;
  }
}

/** The control message is one of IP_RECVERR or IPV6_RECVERR and speaks of zero-copy, not of ICMP. */
function isCompletion(): boolean {
  const { IPPROTO_IP, IP_RECVERR, IPPROTO_IPV6, IPV6_RECVERR } = SocketOption;
  const { bytes } = control;
  const level = bytes.readInt32LE(Cmsghdr.level);
  const type = bytes.readInt32LE(Cmsghdr.type);
  const isError =
    (level === IPPROTO_IP && type === IP_RECVERR) ||
    (level === IPPROTO_IPV6 && type === IPV6_RECVERR);
  return isError && bytes[Cmsghdr.data + SockExtendedErr.origin] === SO_EE_ORIGIN_ZEROCOPY;
}
