import { BufferPool, type Kernel } from '../../splice/index.js';
import { HeadWriter } from '../http/message/index.js';
import { FileContent } from './file-content.js';
import type { OpenFile } from './open-file.js';
import { SecondChance } from './second-chance.js';

/** Head and content of one file. */
const BLOCK_BYTES = 16 * 1024;
/** What a head may need of a block besides the lines that are known. */
const STATUS_BYTES = 128;
/** 8 MiB a worker, however many files may be open. */
const CONTENTS_MAX = 512;
/**
 * What is written through a mapping changes no time until it is written back (mmap(2)): what was read is trusted no
 * longer than a name is by default.
 */
const TRUSTED_MS = 1000;
/**
 * A file to which something was done less than this before it was read may be written once more without any of its
 * times changing: clocks of filesystems tick every few milliseconds, some every second or two (FAT). And one
 * second more, as parts of one are not looked at.
 */
const YOUNG_MS = 3000;
const SECOND_MS = 1000;

/** The time of a turn of the loop. */
export interface WallClock {
  /** Monotonic, ms. */
  readonly nowMs: number;
  /** Since 1970, ms. */
  readonly wallMs: number;
}

/**
 * Small files that are asked for again and again, in memory. What is kept was read between two looks that saw the same,
 * long enough after the last change that another one would show, and is sent only in turns in which a look
 * has shown nothing. There is a fixed number of blocks; the file goes that was not asked for lately.
 */
export class ContentStore {
  private readonly blocks = new BufferPool(BLOCK_BYTES, CONTENTS_MAX);
  private readonly contents = new SecondChance<FileContent>();
  private readonly writer = new HeadWriter();
  private readonly scratch = Buffer.alloc(BLOCK_BYTES);

  constructor(private readonly kernel: Kernel) {}

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.blocks.inUse * BLOCK_BYTES;
  }

  /**
   * @param file that was looked at this turn
   * @param ownBytes lines of the head that the file knows nothing of
   * @returns nothing for what must be read anew each time: it is too large, too young, or asked for the first time
   */
  of(file: OpenFile, ownBytes: number, clock: WallClock): FileContent | undefined {
    const { content, stamp, facts } = file;
    if (content !== undefined && clock.nowMs - content.readMs < TRUSTED_MS) {
      content.wasUsed = true;
      return content;
    }
    if (!file.wasSent) {
      file.wasSent = true;
      return undefined;
    }
    const headBytes = STATUS_BYTES + facts.wholeLines.length + ownBytes;
    if (facts.size + headBytes > BLOCK_BYTES) return undefined;
    const isYoung = clock.wallMs - stamp.changedSec * SECOND_MS < YOUNG_MS;
    return isYoung || facts.isYoung ? undefined : this.read(file, clock.nowMs);
  }

  /** The content of a file is not needed any more. */
  drop(file: OpenFile): void {
    const { content } = file;
    if (content === undefined) return;
    file.content = undefined;
    this.contents.remove(content);
    this.blocks.give(content.memory);
  }

  private read(file: OpenFile, nowMs: number): FileContent | undefined {
    const { kernel } = this;
    const { fd, stamp } = file;
    const { size } = file.facts;
    const content = file.content ?? this.add(file);
    const { address } = content.memory;
    const read = size === 0 ? 0 : kernel.pread(fd, address + content.contentStart, size, 0);
    if (read !== size || !stamp.isOf(kernel, fd) || stamp.wasTouched()) {
      this.drop(file);
      return undefined;
    }
    content.readMs = nowMs;
    return content;
  }

  private add(file: OpenFile): FileContent {
    if (this.contents.size === CONTENTS_MAX) this.drop(this.contents.choose().file);
    const content = new FileContent(file, this.blocks.take(), this.writer, this.scratch);
    file.content = content;
    this.contents.add(content);
    return content;
  }
}
