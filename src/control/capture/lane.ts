import {
  LANE_PIPES,
  LaneMap,
  LaneSlot,
  LaneState,
  PIPE_CAPACITY,
  PIPE_READ_END,
  PIPE_WRITE_END,
  pipeSlot,
} from '../../proxy/index.js';
import { type Kernel, NativeMemory, openPipe, type Pipe } from '../../splice/index.js';

/** What is asked of each pipe: as much as one splice of a pump moves. */
const PIPE_BYTES = 1024 * 1024;
/** Shorter ones take no splice whole. */
const PIPE_BYTES_MIN = 64 * 1024;

/**
 * The memory and the pipes between one worker and the capture thread. Both use the pipes by their numbers, and
 * neither opens or closes one: only this does, and closes them when the worker is gone and the capture thread has
 * said that it is done with them, or is gone, too.
 *
 * ```
 *   closed ──open──▶ open ──the worker is gone──▶ retired ──taken──▶ over
 *                     └─────── out of step ──▶ given up ──┘
 * ```
 */
export class Lane {
  readonly memory = LaneMap.createMemory();
  isRetired = false;
  isGivenUp = false;
  private readonly map = new LaneMap(this.memory);
  private pipes: Pipe[] = [];

  constructor(readonly id: number) {}

  /** Opens the pipes, and lets the worker begin. @returns how many pipes there are */
  open(kernel: Kernel): number {
    const { head } = this.map;
    const scratch = new NativeMemory(8);
    while (this.pipes.length < LANE_PIPES) {
      const pipe = openPipe(kernel, PIPE_BYTES, scratch);
      if (typeof pipe === 'number') break;
      if (pipe.capacityBytes < PIPE_BYTES_MIN) {
        pipe.close();
        break;
      }
      const index = this.pipes.push(pipe) - 1;
      head[pipeSlot(index, PIPE_READ_END)] = pipe.readEnd;
      head[pipeSlot(index, PIPE_WRITE_END)] = pipe.writeEnd;
      head[pipeSlot(index, PIPE_CAPACITY)] = pipe.capacityBytes;
    }
    Atomics.store(head, LaneSlot.State, LaneState.Open);
    return this.pipes.length;
  }

  /** The worker is gone. */
  retire(): void {
    this.isRetired = true;
  }

  /** Nothing more is to be put in. */
  giveUp(): void {
    this.isGivenUp = true;
    Atomics.store(this.map.head, LaneSlot.State, LaneState.Closed);
  }

  /** Closes the pipes: nobody uses them any more. */
  close(): void {
    for (const pipe of this.pipes) pipe.close();
    this.pipes = [];
  }
}
