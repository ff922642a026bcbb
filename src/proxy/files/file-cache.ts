import type { Kernel } from '../../splice/index.js';
import { Counter, type Counters } from '../counters.js';
import type { CachedFile } from './cached-file.js';
import type { FileCloser, OpenFile } from './open-file.js';
import { PreparedFiles } from './prepared-files.js';
import { RootDirectory } from './root-directory.js';
import { SecondChance } from './second-chance.js';

/**
 * The files one worker keeps open, those of all its routes together, and the directories they are below. When
 * there are too many, one goes that was not asked for lately.
 */
export class FileCache implements FileCloser {
  readonly prepared: PreparedFiles;
  private readonly files = new SecondChance<CachedFile>();
  /** Descriptors of files in the cache. */
  private count = 0;
  private readonly roots = new Map<string, RootDirectory>();

  /** @param most descriptors of files to keep; those that are being sent do not count */
  constructor(
    private readonly kernel: Kernel,
    private readonly counters: Counters,
    public most: number,
  ) {
    this.prepared = new PreparedFiles(kernel);
  }

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
    this.files.add(file);
    this.count += file.count;
    file.settle();
  }

  /** Gives up a file; one that is not in the cache, too. */
  drop(file: CachedFile): void {
    if (this.files.remove(file)) this.count -= file.count;
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
    for (let file = this.files.any; file !== undefined; file = this.files.any) this.drop(file);
    for (const root of this.roots.values()) root.close();
  }

  /** A file was opened. */
  opened(): void {
    this.counters.values[Counter.files_open]!++;
  }

  closeFile(file: OpenFile): void {
    this.prepared.drop(file);
    this.counters.values[Counter.files_open]!--;
    this.kernel.close(file.fd);
  }

  private evict(): void {
    this.counters.values[Counter.files_evicted]!++;
    this.drop(this.files.choose());
  }
}
