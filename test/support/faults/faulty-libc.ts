import koffi from 'koffi';
import {
  Epoll,
  EpollEvent,
  Errno,
  type Libc,
  loadLibc,
  NativeMemory,
  Socket,
  SocketOption,
  type SyscallName,
  syscallNames,
} from '#src/splice/index.js';
import { Random } from '../random.js';
import { anyFault, type Fault, type FaultPlan, type Rule, type Side } from './fault-plan.js';

const memcpy = koffi.load(null).func('uintptr_t memcpy(uintptr_t, uintptr_t, size_t)');

/** Bytes that a short count lets through. */
const SHORT_BYTES = 7;

/** Where a call keeps its number of bytes. */
const lengthArgument: Partial<Record<SyscallName, number>> = {
  recv: 2,
  send: 2,
  read: 2,
  write: 2,
  tee: 2,
  splice: 4,
};

/** `tcpi_state` after a FIN was received: TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING. */
const statesAfterFin: readonly number[] = [6, 7, 8, 9, 11];
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const info = new NativeMemory(8);
const infoLength = new NativeMemory(4);

/** `struct sockaddr` of AF_UNSPEC: connect(2) to it breaks a connection off with a reset. */
const nowhere = new NativeMemory(16);

/**
 * The real C library, in which calls go wrong as a {@link FaultPlan} says. A fault is modelled as
 * faithfully as the kernel would make it, because the data path relies on more than the number:
 *
 * - EAGAIN from recv(2), send(2) and splice(2) promises an event when that changes, and so does a
 *   short count, which on TCP means that the socket is empty or full. An injected one keeps the
 *   promise by changing the registration to what it was, which raises the edge anew. No real kernel
 *   is ever short of this: without it the test would hang by its own making. Once a FIN is in the
 *   queue a short recv(2) means more, that all has been read, and is not injected. Only splice(2)
 *   out of a pipe is short without a promise: a pending signal is enough (fs/splice.c).
 * - ECONNRESET, EPIPE and ETIMEDOUT mean that the connection is dead: it is broken off for real
 *   first, so that the peer learns of it and epoll reports it.
 * - EINTR from connect(2) and any error from close(2) come after the deed.
 */
export class FaultyLibc implements Libc {
  readonly calls: Libc['calls'];
  private readonly real = loadLibc();
  private readonly registrations = new Map<number, { epoll: number; event: NativeMemory }>();
  private error = 0;
  private epoch = -1;
  private rules: { readonly rule: Required<Rule>; seen: number }[] = [];
  private random: Random | undefined;
  private oneIn = 0;

  constructor(private readonly plan: FaultPlan) {
    const calls = syscallNames.map((name) => [name, (...args: number[]) => this.call(name, args)]);
    this.calls = Object.fromEntries(calls) as Libc['calls'];
  }

  readonly errno = (): number => this.error;

  private call(name: SyscallName, args: number[]): number {
    this.plan.countCall();
    if (name === 'epoll_wait' && this.plan.napMs > 0) Atomics.wait(sleeper, 0, 0, this.plan.napMs);
    const fault = this.nextFault(name, args);
    if (fault !== undefined) this.plan.countInjected();
    if (fault === undefined) return this.make(name, args);
    return fault === 'short' ? this.makeShort(name, args) : this.fail(name, args, fault);
  }

  private make(name: SyscallName, args: number[]): number {
    const result = this.real.calls[name](...args);
    if (result < 0) this.error = this.real.errno();
    else if (name === 'epoll_ctl') this.remember(args);
    else if (name === 'close') this.registrations.delete(args[0]!);
    return result;
  }

  private makeShort(name: SyscallName, args: number[]): number {
    if (name === 'recv' && this.hasFin(args[0]!)) return this.make(name, args);
    const at = lengthArgument[name]!;
    const result = this.make(name, args.with(at, Math.min(args[at]!, SHORT_BYTES)));
    if (name === 'recv' || name === 'send' || this.sideOf(name, args) === 'in') {
      this.raiseEdge(this.socketOf(name, args));
    }
    return result;
  }

  private fail(name: SyscallName, args: number[], fault: Exclude<Fault, 'short'>): number {
    if (name === 'close' || (name === 'connect' && fault === 'EINTR')) this.make(name, args);
    const socket = this.socketOf(name, args);
    if (socket !== undefined) {
      if (fault === 'EAGAIN') this.raiseEdge(socket);
      if (['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTCONN'].includes(fault)) this.breakOff(socket);
    }
    this.error = Errno[fault];
    return -1;
  }

  /** The socket whose connection a call is about. */
  private socketOf(name: SyscallName, args: number[]): number | undefined {
    switch (name) {
      case 'recv':
      case 'send':
      case 'shutdown':
        return args[0]!;
      case 'splice':
        return this.sideOf(name, args) === 'in' ? args[0]! : args[2]!;
      default:
        return undefined;
    }
  }

  private sideOf(name: SyscallName, args: number[]): Side {
    if (name !== 'splice') return 'any';
    return this.registrations.has(args[0]!) ? 'in' : 'out';
  }

  private remember([epoll, operation, fd, address]: number[]): void {
    if (operation === Epoll.EPOLL_CTL_DEL) {
      this.registrations.delete(fd!);
      return;
    }
    const event = new NativeMemory(EpollEvent.size);
    memcpy(event.address, address!, EpollEvent.size);
    this.registrations.set(fd!, { epoll: epoll!, event });
  }

  private raiseEdge(fd: number | undefined): void {
    const registration = this.registrations.get(fd!);
    if (registration === undefined) return;
    const { epoll, event } = registration;
    this.real.calls.epoll_ctl(epoll, Epoll.EPOLL_CTL_MOD, fd!, event.address);
  }

  /** The end of the peer's stream has arrived, with all bytes before it. */
  private hasFin(fd: number): boolean {
    infoLength.bytes.writeInt32LE(info.byteLength);
    const { IPPROTO_TCP, TCP_INFO } = SocketOption;
    this.real.calls.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info.address, infoLength.address);
    return statesAfterFin.includes(info.bytes[0]!);
  }

  private breakOff(fd: number): void {
    this.real.calls.connect(fd, nowhere.address, nowhere.byteLength);
  }

  private nextFault(name: SyscallName, args: number[]): Fault | undefined {
    if (this.plan.epoch !== this.epoch) this.readPlan();
    if (!mayFail(name, args)) return undefined;
    const side = this.sideOf(name, args);
    if (this.random?.oneIn(this.oneIn)) {
      // Most of the time a fault that flows survive, or few of them would get far.
      const fault = anyFault(name, side, this.random);
      const isGentle = fault === 'EAGAIN' || fault === 'EINTR' || fault === 'short';
      if (isGentle || this.random.oneIn(4)) return fault;
    }
    for (const one of this.rules) {
      const { rule } = one;
      if (rule.call !== name || (rule.side !== 'any' && rule.side !== side)) continue;
      one.seen++;
      if (one.seen === rule.nth || (rule.every > 0 && one.seen % rule.every === 0)) {
        return rule.fault;
      }
    }
    return undefined;
  }

  private readPlan(): void {
    this.epoch = this.plan.epoch;
    const { rules, seed, oneIn } = this.plan.read();
    this.rules = rules.map((rule) => ({ rule, seen: 0 }));
    this.oneIn = oneIn;
    this.random = oneIn > 0 ? new Random(seed) : undefined;
  }
}

/** Some calls cannot fail with the arguments they have here. */
function mayFail(name: SyscallName, args: number[]): boolean {
  switch (name) {
    case 'setsockopt':
      return args[2] !== SocketOption.SO_LINGER;
    case 'epoll_ctl':
      return args[1] === Epoll.EPOLL_CTL_ADD;
    case 'shutdown':
      return args[1] === Socket.SHUT_WR;
    default:
      return true;
  }
}
