import { BufferPool, type Kernel } from '../../splice/index.js';
import { HeadWriter } from '../http/message/index.js';
import type { OpenFile } from './open-file.js';
import { PreparedFile } from './prepared-file.js';
import { SecondChance } from './second-chance.js';

/** Head and content of one file. */
const BLOCK_BYTES = 16 * 1024;
/** A head alone. */
const HEAD_BYTES = 1024;
/** What a head may need besides the lines that are known: its first line, Date, Connection. */
const STATUS_BYTES = 128;
/** 8 MiB a worker, however many files may be open. */
const FILES_MAX = 512;
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
 * What is asked for again and again, ready to be sent: heads of files, and small files whole. Content that is kept was
 * read between two looks that saw the same, long enough after the last change that another one would show, and is
 * sent only in turns in which a look has shown nothing. There is a fixed number of blocks; the file
 * goes that was not asked for lately.
 */
export class PreparedFiles {
  private readonly blocks = new BufferPool(BLOCK_BYTES, FILES_MAX);
  private readonly heads = new BufferPool(HEAD_BYTES, FILES_MAX);
  private readonly files = new SecondChance<PreparedFile>();
  private readonly writer = new HeadWriter();
  private readonly scratch = Buffer.alloc(BLOCK_BYTES);

  constructor(private readonly kernel: Kernel) {}

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.blocks.inUse * BLOCK_BYTES + this.heads.inUse * HEAD_BYTES;
  }

  /**
   * @param file that was looked at this turn
   * @param ownBytes lines of the head that the file knows nothing of
   * @returns nothing for what is asked for the first time, or must be read anew each time
   */
  of(file: OpenFile, ownBytes: number, clock: WallClock): PreparedFile | undefined {
    const { prepared, facts } = file;
    if (prepared !== undefined && clock.nowMs < prepared.trustedUntilMs) {
      prepared.wasUsed = true;
      return prepared;
    }
    if (!file.wasSent) {
      file.wasSent = true;
      return undefined;
    }
    const headBytes = STATUS_BYTES + facts.wholeLines.length + ownBytes;
    if (facts.size + headBytes <= BLOCK_BYTES) return this.whole(file, clock);
    return headBytes <= HEAD_BYTES ? this.headOf(file) : undefined;
  }

  /** The file is not needed any more. */
  drop(file: OpenFile): void {
    const { prepared } = file;
    if (prepared === undefined) return;
    file.prepared = undefined;
    this.files.remove(prepared);
    (prepared.isWhole ? this.blocks : this.heads).give(prepared.memory);
  }

  private whole(file: OpenFile, { nowMs, wallMs }: WallClock): PreparedFile | undefined {
    const { kernel } = this;
    const { fd, stamp, facts } = file;
    const { size } = facts;
    if (facts.isYoung || wallMs - stamp.changedSec * SECOND_MS < YOUNG_MS) return undefined;
    const prepared = file.prepared ?? this.add(file, this.blocks, size);
    const { memory, contentStart } = prepared;
    const read = size === 0 ? 0 : kernel.pread(fd, memory.address + contentStart, size, 0);
    if (read !== size || !stamp.isOf(kernel, fd) || stamp.wasTouched()) {
      this.drop(file);
      return undefined;
    }
    prepared.trustedUntilMs = nowMs + TRUSTED_MS;
    return prepared;
  }

  private headOf(file: OpenFile): PreparedFile {
    const prepared = file.prepared ?? this.add(file, this.heads, 0);
    prepared.trustedUntilMs = Number.POSITIVE_INFINITY;
    return prepared;
  }

  private add(file: OpenFile, pool: BufferPool, bodyBytes: number): PreparedFile {
    if (this.files.size === FILES_MAX) this.drop(this.files.choose().file);
    const { writer, scratch } = this;
    const prepared = new PreparedFile(file, pool.take(), bodyBytes, writer, scratch);
    file.prepared = prepared;
    this.files.add(prepared);
    return prepared;
  }
}
