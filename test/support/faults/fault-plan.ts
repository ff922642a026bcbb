import { Errno, type SyscallName, syscallNames } from '#src/splice/index.js';
import type { Random } from '../random.js';

/** What can go wrong with a call: an error, or fewer bytes than asked for. */
export type Fault = keyof typeof Errno | 'short';

/** Calls of one direction: splice(2) has a socket at one of its two ends. */
export type Side = 'any' | 'in' | 'out';

/** Which calls go wrong, counted from when the plan was made. */
export interface Rule {
  readonly call: SyscallName;
  readonly fault: Fault;
  readonly side?: Side;
  /** The n-th call, from 1. */
  readonly nth?: number;
  /** Every n-th call: 1 is all of them. */
  readonly every?: number;
}

const EPOCH = 0;
const INJECTED = 1;
const CALLS = 2;
const SEED = 3;
const ONE_IN = 4;
const RULE_COUNT = 5;
const NAP_MS = 6;
const RULES = 7;
const RULE_INTS = 5;
const RULES_MAX = 4;

const faults: readonly Fault[] = ['short', ...(Object.keys(Errno) as Fault[])];
const sides: readonly Side[] = ['any', 'in', 'out'];

/**
 * What the test's thread tells the worker's libc, and hears from it: shared memory, because a worker
 * looks at no messages while it serves.
 */
export class FaultPlan {
  private readonly ints: Int32Array;

  constructor(readonly memory = new SharedArrayBuffer((RULES + RULES_MAX * RULE_INTS) * 4)) {
    this.ints = new Int32Array(memory);
  }

  /** Changes whenever the plan does. */
  get epoch(): number {
    return Atomics.load(this.ints, EPOCH);
  }

  /** Faults injected since the plan was made. */
  get injected(): number {
    return Atomics.load(this.ints, INJECTED);
  }

  /** Calls made since then. */
  get calls(): number {
    return Atomics.load(this.ints, CALLS);
  }

  /** Milliseconds that pass before each wait for events: much happens in them, and turns are long. */
  get napMs(): number {
    return Atomics.load(this.ints, NAP_MS);
  }

  set napMs(ms: number) {
    Atomics.store(this.ints, NAP_MS, ms);
  }

  countCall(): void {
    Atomics.add(this.ints, CALLS, 1);
  }

  countInjected(): void {
    Atomics.add(this.ints, INJECTED, 1);
  }

  /** From now on calls go wrong by these rules; by none, all goes well. */
  follow(rules: readonly Rule[]): void {
    rules.forEach(({ call, fault, side = 'any', nth = 0, every = 0 }, index) => {
      const at = RULES + index * RULE_INTS;
      const rule = [syscallNames.indexOf(call), faults.indexOf(fault), sides.indexOf(side)];
      this.ints.set([...rule, nth, every], at);
    });
    this.begin(rules.length, 0, 0);
  }

  /** From now on any call may go wrong, once in `oneIn` times. */
  scatter(seed: number, oneIn: number): void {
    this.begin(0, seed, oneIn);
  }

  /** The rules as the worker reads them. */
  read(): { rules: Required<Rule>[]; seed: number; oneIn: number } {
    const rules = Array.from({ length: this.ints[RULE_COUNT]! }, (_, index) => {
      const at = RULES + index * RULE_INTS;
      const [call, fault, side, nth, every] = this.ints.subarray(at, at + RULE_INTS);
      return {
        call: syscallNames[call!]!,
        fault: faults[fault!]!,
        side: sides[side!]!,
        nth: nth!,
        every: every!,
      };
    });
    return { rules, seed: this.ints[SEED]!, oneIn: this.ints[ONE_IN]! };
  }

  private begin(rules: number, seed: number, oneIn: number): void {
    this.ints[RULE_COUNT] = rules;
    this.ints[SEED] = seed;
    this.ints[ONE_IN] = oneIn;
    Atomics.store(this.ints, INJECTED, 0);
    Atomics.store(this.ints, CALLS, 0);
    Atomics.add(this.ints, EPOCH, 1);
  }
}

const memory: readonly Fault[] = ['ENOMEM', 'ENOBUFS'];
const descriptorFaults: readonly Fault[] = ['EMFILE', 'ENFILE'];
const refusals: readonly Fault[] = ['EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EPERM'];

/**
 * What a real kernel may answer to each call a flow makes, by its manual page. What it cannot answer
 * is not here: EAGAIN from a pipe that has bytes, a failing SO_LINGER, a failing EPOLL_CTL_DEL.
 */
export const possibleFaults: readonly (readonly [SyscallName, Side, readonly Fault[]])[] = [
  ['accept4', 'any', ['EAGAIN', 'EINTR', 'ECONNABORTED', 'EPROTO', 'EPERM', 'EINVAL']],
  ['accept4', 'any', [...descriptorFaults, ...memory]],
  ['socket', 'any', [...descriptorFaults, ...memory, 'EINTR', 'EINVAL', 'EACCES']],
  ['setsockopt', 'any', ['EINTR', 'ENOMEM', 'EINVAL', 'ENOPROTOOPT']],
  ['connect', 'any', ['EINTR', 'EAGAIN', 'EADDRNOTAVAIL', 'ECONNREFUSED', 'ENETUNREACH']],
  ['connect', 'any', ['ECONNRESET', 'EINVAL', ...memory]],
  ['epoll_ctl', 'any', ['EINTR', 'ENOMEM']],
  ['epoll_wait', 'any', ['EINTR']],
  ['recv', 'any', ['EAGAIN', 'EINTR', 'short', 'ECONNRESET', 'ETIMEDOUT', 'ENOMEM']],
  ['send', 'any', ['EAGAIN', 'EINTR', 'short', 'ECONNRESET', 'EPIPE', ...memory]],
  ['splice', 'in', ['EAGAIN', 'EINTR', 'short', 'ECONNRESET', 'ENOMEM', ...refusals]],
  ['splice', 'out', ['EAGAIN', 'EINTR', 'short', 'ECONNRESET', 'EPIPE', 'ENOMEM', ...refusals]],
  ['ioctl', 'any', ['EINTR', 'EINVAL', 'ENOMEM']],
  ['pipe2', 'any', ['EINTR', ...descriptorFaults, 'ENOMEM', 'EINVAL']],
  ['fcntl', 'any', ['EINTR', 'EPERM', 'EBUSY', 'ENOMEM', 'EINVAL']],
  ['shutdown', 'any', ['EINTR', 'ENOTCONN']],
  ['getsockopt', 'any', ['EINTR', 'ENOMEM']],
  ['read', 'any', ['EINTR', 'short', 'EIO']],
  ['close', 'any', ['EINTR', 'EIO']],
];

/** The same for calls that are made for a shadow only. */
export const shadowFaults: typeof possibleFaults = [
  ['tee', 'any', ['EAGAIN', 'EINTR', 'short', 'ENOMEM', ...refusals]],
  ['write', 'any', ['EAGAIN', 'EINTR', 'short', 'ENOMEM']],
];

/** Any fault of a call, for random schedules. */
export function anyFault(call: SyscallName, side: Side, random: Random): Fault | undefined {
  const faults = [...possibleFaults, ...shadowFaults].flatMap(([name, of, faults]) =>
    name === call && (of === 'any' || of === side) ? faults : [],
  );
  return faults.length === 0 ? undefined : random.pick(faults);
}
