import { IoUring } from '../constants.js';
import { SystemCallError } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { IoUringCqe, IoUringParams, IoUringSqe } from '../structs.js';
import { closeRingMemory, openRingMemory, type RingMemory } from './ring-memory.js';

// In 32-bit words. The operation is the first byte of its word; flags and priority behind it are 0.
const ENTRY_WORDS = IoUringSqe.size / 4;
const OPERATION = IoUringSqe.opcode / 4;
const FD = IoUringSqe.fd / 4;
const ADDRESS = IoUringSqe.address / 4;
const LENGTH = IoUringSqe.length / 4;
const FLAGS = IoUringSqe.flags / 4;
const USER_DATA = IoUringSqe.userData / 4;
const COMPLETION_WORDS = IoUringCqe.size / 4;
const RESULT = IoUringCqe.result / 4;

/** Operations (enum io_uring_op) that take an address, a length and the flags of send(2) and recv(2), or none of these. */
export type RingOperation =
  | typeof IoUring.IORING_OP_SEND
  | typeof IoUring.IORING_OP_RECV
  | typeof IoUring.IORING_OP_CLOSE;

/** A call that was queued. */
export interface RingEntry {
  readonly operation: number;
  readonly fd: number;
  readonly address: number;
  readonly length: number;
  readonly flags: number;
}

/**
 * io_uring(7), as far as it is of use here: a queue of calls that are made in one system call, in the order in which they
 * were queued. None of them may be one that waits: each is over when the call returns.
 *
 * Both queues are memory that the kernel reads and writes during {@link submit} only, so plain loads and stores do:
 * nobody polls them meanwhile (IORING_SETUP_SQPOLL).
 */
export class Ring {
  private readonly fd: number;
  /** Heads, tails and completions, in words; words of the submissions. */
  private readonly words: Int32Array;
  private readonly entries: Int32Array;
  private readonly mask: number;
  private readonly completionMask: number;
  private readonly headAt: number;
  private readonly tailAt: number;
  private readonly completionHeadAt: number;
  private readonly completionTailAt: number;
  private readonly completionsAt: number;
  /** Behind the last one queued. */
  private tail = 0;

  private constructor(
    private readonly kernel: Kernel,
    private readonly memory: RingMemory,
  ) {
    const { fd, said, queues, submissions } = memory;
    this.fd = fd;
    this.words = new Int32Array(queues.buffer);
    this.entries = new Int32Array(submissions.buffer);
    this.mask = said(IoUringParams.sqEntries) - 1;
    this.completionMask = said(IoUringParams.cqEntries) - 1;
    this.headAt = said(IoUringParams.sqHead) / 4;
    this.tailAt = said(IoUringParams.sqTail) / 4;
    this.completionHeadAt = said(IoUringParams.cqHead) / 4;
    this.completionTailAt = said(IoUringParams.cqTail) / 4;
    this.completionsAt = said(IoUringParams.cqes) / 4;
    // What is queued are indices of submissions: here the n-th is always the n-th.
    const arrayAt = said(IoUringParams.sqArray) / 4;
    for (let index = 0; index <= this.mask; index++) this.words[arrayAt + index] = index;
  }

  /**
   * @param capacity calls between two {@link submit}: a power of two, at most 32,768
   * @returns a negative error number where there is none to be had: see {@link openRingMemory}
   */
  static open(kernel: Kernel, capacity: number): Ring | number {
    const memory = openRingMemory(kernel, capacity);
    return typeof memory === 'number' ? memory : new Ring(kernel, memory);
  }

  /**
   * Queues a call.
   * @param userData ≥ 0, where its result will be found
   * @returns its place in the queue, for {@link withdraw}
   */
  queue(
    operation: RingOperation,
    fd: number,
    address: number,
    length: number,
    flags: number,
    userData: number,
  ): number {
    const { entries } = this;
    const place = (this.tail & this.mask) * ENTRY_WORDS;
    this.tail = (this.tail + 1) | 0;
    entries[place + OPERATION] = operation;
    entries[place + FD] = fd;
    // Stored in two halves, of which the machine has the lower one first; storing drops what is above 32 bits.
    entries[place + ADDRESS] = address;
    entries[place + ADDRESS + 1] = address / 2 ** 32;
    entries[place + LENGTH] = length;
    entries[place + FLAGS] = flags;
    entries[place + USER_DATA] = userData;
    return place;
  }

  /** A call that was queued is not to be made: it answers 0. */
  withdraw(place: number): void {
    this.entries[place + OPERATION] = IoUring.IORING_OP_NOP;
    // It has no such flags, and since Linux 6.10, it says so.
    this.entries[place + FLAGS] = 0;
  }

  /** What was queued at a place, until something else is. */
  entryAt(place: number): RingEntry {
    const word = (index: number): number => this.entries[place + index]!;
    const high = word(ADDRESS + 1) * 2 ** 32;
    return {
      operation: word(OPERATION),
      fd: word(FD),
      address: high + (word(ADDRESS) >>> 0),
      length: word(LENGTH),
      flags: word(FLAGS),
    };
  }

  /**
   * Makes the calls that are queued, as far as the kernel has memory for them; none is queued any more.
   *
   * @param results receives, by the calls' user data, what each answered: ≥ 0, or a negative error number
   * @returns how many of them were made, from the first
   */
  submit(results: Int32Array): number {
    const { words, tail } = this;
    const queued = (tail - words[this.headAt]!) | 0;
    words[this.tailAt] = tail;
    let taken = this.kernel.io_uring_enter(this.fd, queued, 0, 0);
    if (taken < queued) taken = this.submitRest(queued);
    this.reap(taken, results);
    return taken;
  }

  close(): void {
    closeRingMemory(this.kernel, this.memory);
  }

  /** It stops behind a call that it finds wrong, and where memory is short. @returns how many it took in all */
  private submitRest(queued: number): number {
    const { words, tail } = this;
    let left = (tail - words[this.headAt]!) | 0;
    while (left > 0 && this.kernel.io_uring_enter(this.fd, left, 0, 0) > 0) {
      left = (tail - words[this.headAt]!) | 0;
    }
    // What it did not take is taken back.
    this.tail = words[this.headAt]!;
    words[this.tailAt] = this.tail;
    return queued - left;
  }

  private reap(count: number, results: Int32Array): void {
    const { words, completionMask, completionsAt } = this;
    let head = words[this.completionHeadAt]!;
    if (((words[this.completionTailAt]! - head) | 0) < count) this.waitForRest(count);
    for (let index = 0; index < count; index++) {
      const at = completionsAt + (head & completionMask) * COMPLETION_WORDS;
      results[words[at]!] = words[at + RESULT]!;
      head = (head + 1) | 0;
    }
    words[this.completionHeadAt] = head;
  }

  /**
   * None of the calls waits for anything, so all should be over. One that is not has memory that others are about
   * to use: there is no going on without it.
   */
  private waitForRest(count: number): void {
    const result = this.kernel.io_uring_enter(this.fd, 0, count, IoUring.IORING_ENTER_GETEVENTS);
    if (result < 0) throw new SystemCallError('io_uring_enter', -result);
  }
}
