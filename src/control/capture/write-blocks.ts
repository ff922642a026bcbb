import { copyMemory, NativeMemory } from '../../splice/index.js';

/** Messages are written together up to this. */
export const BLOCK_BYTES = 16 * 1024;
const IDLE_MAX = 256;

/** Small messages of one file that wait to be written together. */
export class WriteBlock {
  length = 0;
  private readonly memory = new NativeMemory(BLOCK_BYTES);

  get address(): number {
    return this.memory.address;
  }

  hasRoomFor(length: number): boolean {
    return this.length + length <= BLOCK_BYTES;
  }

  /** Only what there is room for. */
  add(address: number, length: number): void {
    copyMemory(this.memory.address + this.length, address, length);
    this.length += length;
  }
}

/** The blocks of all files; one belongs to a file for a turn of the capture thread at most. */
export class WriteBlocks {
  private readonly idle: WriteBlock[] = [];

  take(): WriteBlock {
    return this.idle.pop() ?? new WriteBlock();
  }

  give(block: WriteBlock): void {
    block.length = 0;
    if (this.idle.length < IDLE_MAX) this.idle.push(block);
  }
}
