import {
  BufferPool,
  type Clock,
  createKernel,
  Epoll,
  EventPoll,
  type Kernel,
  PipePool,
  PlainTransport,
  PUMP_SLOTS,
  Pump,
  PumpResult,
  PumpSlot,
  type SocketAddress,
  type Transport,
} from '#src/splice/index.js';
import { ScriptedLibc } from '../faults/scripted-libc.js';
import type { RawPeer } from './raw-peer.js';
import type { SocketKit } from './socket-kit.js';

const EVENTS =
  (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

/** Nothing happened for this long while bytes were missing: the pump has stalled. */
const STALL_MS = 2000;

export interface RigOptions {
  readonly family?: SocketAddress['family'];
  readonly bufferBytes?: number;
  readonly pipeBytes?: number;
  readonly pipeMemoryBytes?: number;
  /** Makes the two sides; plain ones unless told. */
  readonly transport?: (kernel: Kernel, fd: number, isTcp: boolean, far: RawPeer) => Transport;
}

/**
 * One pump between two real connections, driven by a real, edge-triggered epoll: the test speaks at
 * `sender` and listens at `receiver`. The system calls in between can be scripted.
 */
export class PumpRig {
  readonly libc = new ScriptedLibc();
  readonly kernel: Kernel = createKernel(this.libc);
  readonly meter = new Float64Array(PUMP_SLOTS);
  readonly clock: Clock = { nowMs: 0 };
  readonly buffers: BufferPool;
  readonly pipes: PipePool;
  readonly sender: RawPeer;
  readonly receiver: RawPeer;
  readonly source: Transport;
  readonly sink: Transport;
  readonly pump: Pump;
  /** Knows the source as 0 and the sink as 1. */
  protected readonly poll: EventPoll;

  constructor(
    private readonly kit: SocketKit,
    options: RigOptions = {},
  ) {
    const { family = 'inet', bufferBytes = 8192, pipeBytes = 65536 } = options;
    const { pipeMemoryBytes = 1024 * 1024 } = options;
    this.buffers = new BufferPool(bufferBytes);
    this.pipes = new PipePool(this.kernel, pipeBytes, pipeMemoryBytes);
    const from = kit.pair(family);
    const to = kit.pair(family);
    this.sender = from.far;
    this.receiver = to.far;
    const isTcp = family !== 'unix';
    const { transport = plain } = options;
    this.source = transport(this.kernel, from.near, isTcp, from.far);
    this.sink = transport(this.kernel, to.near, isTcp, to.far);
    const room = {
      kernel: this.kernel,
      pipes: this.pipes,
      buffers: this.buffers,
      clock: this.clock,
    };
    this.pump = new Pump(room, this.meter, this.source, this.sink);
    this.poll = new EventPoll(kit.kernel, 8);
    kit.own(this.poll.fd);
    this.poll.add(from.near, EVENTS, 0);
    this.poll.add(to.near, EVENTS, 1);
  }

  /** Takes what epoll has to say. @returns true when it said something */
  look(timeoutMs = 0): boolean {
    const count = this.poll.wait(timeoutMs);
    for (let index = 0; index < count; index++) {
      const transport = this.poll.generationAt(index) === 0 ? this.source : this.sink;
      transport.notice(this.poll.eventsAt(index));
    }
    return count > 0;
  }

  /** Events, then the pump, as a flow does it. */
  turn(timeoutMs = 0): PumpResult {
    this.look(timeoutMs);
    return this.pump.run();
  }

  /** Turns until the pump waits or ends. */
  settle(): PumpResult {
    for (;;) {
      const result = this.turn();
      if (result !== PumpResult.Yielded) return result;
    }
  }

  /**
   * Sends everything and reads everything, until `expectedBytes` have arrived or the pump ends.
   *
   * @throws when nothing moves although both ends are willing
   */
  transfer(bytes: Uint8Array, expectedBytes = bytes.byteLength, end = false): PumpResult {
    let sent = 0;
    let result: PumpResult = PumpResult.Waiting;
    let deadline = Date.now() + STALL_MS;
    while (this.receiver.receivedBytes < expectedBytes || end) {
      let moved = 0;
      if (sent < bytes.byteLength) {
        moved += this.sender.send(bytes.subarray(sent));
        sent += moved;
        if (sent === bytes.byteLength && end) this.sender.end();
      }
      result = this.turn(moved > 0 ? 0 : 1);
      moved += this.receiver.receive();
      if (result !== PumpResult.Waiting && result !== PumpResult.Yielded) break;
      if (moved > 0) deadline = Date.now() + STALL_MS;
      else if (Date.now() > deadline) throw new Error(`stalled: ${this.receiver.receivedBytes}`);
    }
    this.receiver.receive();
    return result;
  }

  meterOf(slot: keyof typeof PumpSlot): number {
    return this.meter[PumpSlot[slot]]!;
  }

  /** Ends the pump and closes what it used. @returns what is still taken from the pools: nothing */
  finish(): { pipesInUse: number; buffersInUse: number; pipeCapacityBytes: number } {
    this.pump.release();
    this.pipes.releaseIdle();
    this.kit.close(this.poll.fd);
    return {
      pipesInUse: this.pipes.gauges.inUse,
      buffersInUse: this.buffers.inUse,
      pipeCapacityBytes: this.pipes.gauges.capacityBytes,
    };
  }
}

function plain(kernel: Kernel, fd: number, isTcp: boolean): Transport {
  return new PlainTransport(kernel, fd, isTcp);
}

/** What {@link PumpRig.finish} must answer. */
export const nothingTaken = { pipesInUse: 0, buffersInUse: 0, pipeCapacityBytes: 0 };
