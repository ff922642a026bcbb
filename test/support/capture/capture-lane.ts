// Both ends of a capture lane in one thread: what a worker puts in, and what the capture thread would take.
import type { Test } from 'tap';
import { Lane } from '#src/control/capture/lane.js';
import { type LaneEnd, type LaneListener, LaneReader } from '#src/control/capture/lane-reader.js';
import { CaptureLane, RecorderBell } from '#src/proxy/capture/index.js';
import {
  copyMemory,
  createKernel,
  type Kernel,
  NativeMemory,
  openPipe,
  type Pipe,
} from '#src/splice/index.js';

/** What a slot has been told, bytes put together by direction. */
export interface Heard {
  readonly note: string;
  readonly directions: [Buffer[], Buffer[]];
  readonly chunks: [direction: number, length: number][];
  end: LaneEnd | undefined;
}

export class LaneRig implements LaneListener {
  readonly lane = new Lane(1);
  readonly worker: CaptureLane;
  readonly reader: LaneReader;
  /** By slot, of flows that have begun; a slot that is used again is another one. */
  readonly heard = new Map<number, Heard>();
  readonly exceptions: unknown[] = [];
  /** Bytes that somebody had to throw away. */
  discarded = 0;
  private readonly scratch = new NativeMemory(4 * 1024 * 1024);

  constructor(
    t: Test,
    readonly kernel: Kernel = createKernel(),
    opener: Kernel = createKernel(),
  ) {
    this.lane.open(opener);
    t.teardown(() => this.lane.close());
    const bell = RecorderBell.createMemory();
    this.worker = new CaptureLane(kernel, { lane: this.lane.memory, bell });
    this.reader = new LaneReader(createKernel(), this.lane.memory, this);
  }

  /** A pipe with these bytes in it, closed by the teardown. */
  pipeWith(t: Test, bytes: Buffer, capacityBytes = 1024 * 1024): Pipe {
    const kernel = createKernel();
    const pipe = openPipe(kernel, capacityBytes, new NativeMemory(8)) as Pipe;
    t.teardown(() => pipe.close());
    const memory = new NativeMemory(Math.max(1, bytes.length));
    bytes.copy(memory.bytes);
    const written = kernel.write(pipe.writeEnd, memory.address, bytes.length);
    if (written !== bytes.length) throw new Error(`the pipe took ${written} of ${bytes.length}`);
    pipe.bytes = written;
    return pipe;
  }

  /** Everything that waits is taken. */
  takeAll(): void {
    while (this.reader.take(1024) > 0);
  }

  text(slot: number, direction: number): Buffer {
    return Buffer.concat(this.heard.get(slot)!.directions[direction as 0 | 1]);
  }

  begin(slot: number, _sequence: number, _store: number, note: string): void {
    this.heard.set(slot, { note, directions: [[], []], chunks: [], end: undefined });
  }

  copied(slot: number, direction: number, address: number, length: number): void {
    copyMemory(this.scratch.address, address, length);
    this.note(slot, direction, length);
  }

  spliced(slot: number, direction: number, pipe: Pipe, length: number): void {
    for (let left = length; left > 0; ) {
      const read = createKernel().read(pipe.readEnd, this.scratch.address, left);
      if (read <= 0) throw new Error(`the pipe lacks ${left} of ${length} bytes`);
      left -= read;
      pipe.bytes -= read;
      this.note(slot, direction, read);
    }
  }

  discard(pipe: Pipe, length: number): boolean {
    this.discarded += length;
    const read = createKernel().read(pipe.readEnd, this.scratch.address, length);
    pipe.bytes -= Math.max(0, read);
    return read === length;
  }

  end(slot: number, end: LaneEnd): void {
    this.heard.get(slot)!.end = end;
  }

  onException(_slot: number, error: unknown): void {
    this.exceptions.push(error);
  }

  private note(slot: number, direction: number, length: number): void {
    const heard = this.heard.get(slot)!;
    heard.chunks.push([direction, length]);
    const bytes = Buffer.from(this.scratch.bytes.subarray(0, length));
    heard.directions[direction as 0 | 1].push(bytes);
  }
}
