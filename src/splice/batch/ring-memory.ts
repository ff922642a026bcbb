import { IoUring } from '../constants.js';
import { Errno } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { NativeMemory } from '../memory.js';
import { IoUringCqe, IoUringParams, IoUringSqe } from '../structs.js';
import { type MappedMemory, mapShared, unmap } from '../syscalls.js';

/** What a program and the kernel have in common of a ring, io_uring_setup(2). */
export interface RingMemory {
  readonly fd: number;
  /** What the kernel has said of it. @param offset of a field, {@link IoUringParams} */
  readonly said: (offset: number) => number;
  /** Heads, tails, indices of submissions, and completions. */
  readonly queues: MappedMemory;
  /** The entries that the indices are of. */
  readonly submissions: MappedMemory;
}

/**
 * @param capacity submissions: a power of two, at most 32,768
 * @returns a negative error number where there is none to be had: ENOSYS before Linux 5.1, EPERM where
 *   kernel.io_uring_disabled or seccomp(2) says so, ENOMEM, EMFILE, ENFILE; EINVAL before Linux 5.4
 */
export function openRingMemory(kernel: Kernel, capacity: number): RingMemory | number {
  const params = new NativeMemory(IoUringParams.size);
  const fd = kernel.io_uring_setup(capacity, params.address);
  if (fd < 0) return fd;
  const said = (offset: number): number => params.bytes.readUInt32LE(offset);
  const isOneMapping = (said(IoUringParams.features) & IoUring.IORING_FEAT_SINGLE_MMAP) !== 0;
  const queueBytes = Math.max(
    said(IoUringParams.sqArray) + said(IoUringParams.sqEntries) * Int32Array.BYTES_PER_ELEMENT,
    said(IoUringParams.cqes) + said(IoUringParams.cqEntries) * IoUringCqe.size,
  );
  const entryBytes = said(IoUringParams.sqEntries) * IoUringSqe.size;
  const queues = isOneMapping ? mapShared(fd, queueBytes, IoUring.IORING_OFF_SQ_RING) : undefined;
  const submissions = queues && mapShared(fd, entryBytes, IoUring.IORING_OFF_SQES);
  if (queues !== undefined && submissions !== undefined) return { fd, said, queues, submissions };
  if (queues !== undefined) unmap(queues);
  kernel.close(fd);
  return isOneMapping ? -Errno.ENOMEM : -Errno.EINVAL;
}

/** It must not be touched any more. */
export function closeRingMemory(kernel: Kernel, { fd, queues, submissions }: RingMemory): void {
  unmap(queues);
  unmap(submissions);
  kernel.close(fd);
}
