import type { FileStamp, Kernel } from '../../splice/index.js';
import type { PreparedFile } from './prepared-file.js';

/** What a file is to those who ask for it. */
export interface FileFacts {
  /** Bytes. */
  readonly size: number;
  /** Seconds since 1970, as Last-Modified says it. */
  readonly modifiedSec: number;
  readonly modified: string;
  /** As ETag says it; empty without one. */
  readonly tag: string;
  readonly contentType: string;
  /** Lines of a head about the whole of it, Content-Length included. */
  readonly wholeLines: Buffer;
  /** Lines about what it is encoded in, for answers that have a content type of their own. */
  readonly encodingLines: Buffer;
  /** Lines of a 304 (RFC 9110 §15.4.5); they belong to every answer with the file. */
  readonly validatorLines: Buffer;
  /** It was written so short a time ago that it may be written again unnoticed: its tag is a weak one. */
  readonly isYoung: boolean;
}

const SEEN_MS = 1;

/** Who closes files. */
export interface FileCloser {
  closeFile(file: OpenFile): void;
}

/**
 * A file that is open, and what its answers have in common. Its descriptor is closed once nobody has it: neither
 * the cache nor any answer, which may take hours to send it.
 */
export class OpenFile {
  /** The kernel was told that it is read from front to back. */
  isAdvised = false;
  /** It was sent before. */
  wasSent = false;
  /** What is ready to be sent of it. */
  prepared: PreparedFile | undefined;
  /** When it was last seen unchanged, monotonic. */
  private seenMs = Number.NEGATIVE_INFINITY;
  private holders = 1;

  /** Whoever makes it holds it. */
  constructor(
    private readonly closer: FileCloser,
    readonly fd: number,
    readonly stamp: FileStamp,
    readonly facts: FileFacts,
  ) {}

  /**
   * Whether it is still what it was when it was opened. One look a millisecond is enough for all who send it: a turn
   * of the loop may last as long.
   * @param nowMs of this turn, monotonic
   */
  isUnchanged(kernel: Kernel, nowMs: number): boolean {
    if (nowMs - this.seenMs < SEEN_MS) return true;
    if (!this.stamp.isOf(kernel, this.fd)) return false;
    if (this.stamp.wasTouched()) this.prepared?.expire();
    this.seenMs = nowMs;
    return true;
  }

  hold(): this {
    if (this.holders === 0) throw new Error('the file is closed');
    this.holders++;
    return this;
  }

  /** Not to be used by this holder any more. */
  release(): void {
    if (this.holders === 0) throw new Error('the file is closed');
    this.holders--;
    if (this.holders === 0) this.closer.closeFile(this);
  }

  /** Nothing about it has changed since the other was opened. */
  isLike({ stamp, facts }: OpenFile): boolean {
    return this.stamp.equals(stamp) && facts.isYoung === this.facts.isYoung && !facts.isYoung;
  }
}
