import { Errno, File, FileStamp, type FileStatus } from '../../splice/index.js';
import { Counter } from '../counters.js';
import { CachedFile } from './cached-file.js';
import { type Encoding, suffixes } from './encodings.js';
import type { FactSheet } from './file-facts.js';
import type { FilesRoom } from './files-room.js';
import { OpenFile } from './open-file.js';
import { isShortage, type RootDirectory } from './root-directory.js';

/** A FIFO without a writer would keep open(2) waiting, and a terminal might become ours. */
const OPEN_FLAGS = File.O_RDONLY | File.O_NONBLOCK | File.O_NOCTTY;

interface Opened {
  readonly fd: number;
  readonly stamp: FileStamp;
  readonly status: FileStatus;
}

/** Finds the files of one route by their paths, and keeps them open. */
export class FileFinder {
  private readonly files = new Map<string, CachedFile>();

  constructor(
    private readonly room: FilesRoom,
    private readonly root: RootDirectory,
    private readonly facts: FactSheet,
    private readonly precompressed: readonly Encoding[],
    private readonly revalidateMs: number,
  ) {}

  /** The file that the last request with this path got, as long as it is known under it. @param path of a request */
  recall(path: string): CachedFile | undefined {
    const known = this.files.get(path);
    const { worker } = this.room;
    if (known === undefined || !known.isNamed) return undefined;
    if (!this.isCurrent(known, worker.clock.nowMs)) return undefined;
    known.wasUsed = true;
    worker.counters.values[Counter.files_cache_hits]!++;
    return known;
  }

  /**
   * @param path below the root, begins with a slash, a character per byte
   * @returns a file, which {@link settle} is to be told of afterwards; or a negative error number, EISDIR for a
   *   directory, ENOENT for what is neither
   */
  find(path: string): CachedFile | number {
    const { worker, cache } = this.room;
    const { values } = worker.counters;
    const { nowMs } = worker.clock;
    const known = this.files.get(path);
    if (known !== undefined && this.isCurrent(known, nowMs)) {
      known.wasUsed = true;
      values[Counter.files_cache_hits]!++;
      return known;
    }
    values[Counter.files_cache_misses]!++;
    const fresh = this.load(path, nowMs);
    // For want of descriptors it may have been given up meanwhile.
    if (known !== undefined && known.slot >= 0) {
      if (typeof fresh !== 'number' && known.isLike(fresh)) {
        fresh.release();
        known.resolvedMs = nowMs;
        known.generation = this.root.generation;
        return known;
      }
      const isSame = known.generation === this.root.generation;
      // What is open is better than nothing, until its name can be looked up again.
      if (typeof fresh === 'number' && isSame && isShortage(-fresh)) return known;
      cache.drop(known);
    }
    if (typeof fresh !== 'number') cache.add(fresh);
    return fresh;
  }

  /** The file was found and is not needed any more, but for the versions that somebody holds. */
  settle(file: CachedFile): void {
    if (file.slot < 0) file.release();
  }

  /** Finds a file anew that has changed. */
  findAgain(file: CachedFile): CachedFile | number {
    if (file.slot < 0) file.release();
    else this.room.cache.drop(file);
    return this.find(file.path);
  }

  private isCurrent(file: CachedFile, nowMs: number): boolean {
    const { generation } = this.root;
    return file.generation === generation && nowMs - file.resolvedMs < this.revalidateMs;
  }

  private load(path: string, nowMs: number): CachedFile | number {
    const plain = this.open(path);
    if (typeof plain === 'number') return plain;
    const beside = this.precompressed.map((one) => this.open(path + suffixes[one]));
    const varies = beside.some((one) => typeof one !== 'number');
    const wallMs = Date.now();
    const encoded = beside.map((one, index) => {
      if (typeof one === 'number') return undefined;
      return this.take(
        one,
        this.facts.of(path, one.status, this.precompressed[index]!, true, wallMs),
      );
    });
    const file = this.take(plain, this.facts.of(path, plain.status, undefined, varies, wallMs));
    return new CachedFile(this.files, path, file, encoded, nowMs, this.root.generation);
  }

  private take({ fd, stamp }: Opened, facts: OpenFile['facts']): OpenFile {
    return new OpenFile(this.room.cache, fd, stamp, facts);
  }

  private open(path: string): Opened | number {
    const { cache, worker } = this.room;
    let fd = this.root.open(path, OPEN_FLAGS);
    if ((fd === -Errno.EMFILE || fd === -Errno.ENFILE) && cache.shrink()) {
      fd = this.root.open(path, OPEN_FLAGS);
    }
    if (fd < 0) return fd;
    const stamp = new FileStamp();
    const status = stamp.take(worker.kernel, fd);
    if (typeof status !== 'number' && status.isRegular) {
      cache.opened();
      return { fd, stamp, status };
    }
    worker.kernel.close(fd);
    if (typeof status === 'number') return status;
    return status.isDirectory ? -Errno.EISDIR : -Errno.ENOENT;
  }
}
