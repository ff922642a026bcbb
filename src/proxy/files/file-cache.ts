import type { Kernel } from '../../splice/index.js';
import { Counter, type Counters } from '../counters.js';
import type { CachedFile } from './cached-file.js';
import type { FileCloser } from './open-file.js';
import { RootDirectory } from './root-directory.js';

/**
 * The files one worker keeps open, those of all its routes together, and the directories they are below. When
 * there are too many, one goes that was not asked for lately: a hand goes round, takes back the mark of
 * those that were used since it last came by, and stops at one without (second chance).
 */
export class FileCache implements FileCloser {
  private files: CachedFile[] = [];
  private hand = 0;
  /** Descriptors of files in the cache. */
  private count = 0;
  private readonly roots = new Map<string, RootDirectory>();

  /** @param most descriptors of files to keep; those that are being sent do not count */
  constructor(
    private readonly kernel: Kernel,
    private readonly counters: Counters,
    public most: number,
  ) {}

  /** The directory by this path. */
  rootOf(path: string): RootDirectory {
    let root = this.roots.get(path);
    if (root === undefined) {
      root = new RootDirectory(this.kernel, path);
      this.roots.set(path, root);
    }
    return root;
  }

  /** Keeps a file, if there is room for any. */
  add(file: CachedFile): void {
    if (file.count > this.most) return;
    while (this.count + file.count > this.most) this.evict();
    file.slot = this.files.length;
    this.files.push(file);
    this.count += file.count;
    file.settle();
  }

  /** Gives up a file; one that is not in the cache, too. */
  drop(file: CachedFile): void {
    const { slot } = file;
    if (slot >= 0) {
      const last = this.files.pop()!;
      if (last !== file) {
        this.files[slot] = last;
        last.slot = slot;
      }
      file.slot = -1;
      this.count -= file.count;
    }
    file.release();
  }

  /** Descriptors have run out: gives up half of what is there. @returns whether there was anything */
  shrink(): boolean {
    const goal = this.count >> 1;
    const isAny = this.count > 0;
    while (this.count > goal) this.evict();
    return isAny;
  }

  /** Closes everything but what is being sent. */
  clear(): void {
    while (this.files.length > 0) this.drop(this.files.at(-1)!);
    for (const root of this.roots.values()) root.close();
  }

  /** A file was opened. */
  opened(): void {
    this.counters.values[Counter.files_open]!++;
  }

  closeFile(fd: number): void {
    this.counters.values[Counter.files_open]!--;
    this.kernel.close(fd);
  }

  private evict(): void {
    const { files } = this;
    for (;;) {
      if (this.hand >= files.length) this.hand = 0;
      const file = files[this.hand]!;
      if (!file.wasUsed) {
        this.counters.values[Counter.files_evicted]!++;
        this.drop(file);
        return;
      }
      file.wasUsed = false;
      this.hand++;
    }
  }
}
