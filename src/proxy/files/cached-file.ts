import type { OpenFile } from './open-file.js';

/** A file that is kept open, with the encoded ones that lie beside it. */
export class CachedFile {
  /** Somebody has asked for it since the cache last looked for one that nobody needs. */
  wasUsed = false;
  /** A request had its path, letter for letter, and was to get it: so is the next. */
  isNamed = false;
  /** Position in the cache; −1 outside of it. */
  slot = -1;
  /** Bit i: there is an encoded file at i. */
  readonly available: number;

  /**
   * @param home where it is found by its path
   * @param encoded by position in the order of preference
   * @param resolvedMs when its name was last resolved, monotonic
   * @param generation of the root directory it was found below
   */
  constructor(
    private readonly home: Map<string, CachedFile>,
    readonly path: string,
    readonly plain: OpenFile,
    readonly encoded: readonly (OpenFile | undefined)[],
    public resolvedMs: number,
    public generation: number,
  ) {
    let available = 0;
    for (const [index, file] of encoded.entries()) if (file !== undefined) available |= 1 << index;
    this.available = available;
  }

  /** Open files it has. */
  get count(): number {
    return 1 + this.encoded.filter((one) => one !== undefined).length;
  }

  /** The same files, unchanged. */
  isLike(other: CachedFile): boolean {
    if (!this.plain.isLike(other.plain) || this.available !== other.available) return false;
    return this.encoded.every(
      (one, index) => one === undefined || one.isLike(other.encoded[index]!),
    );
  }

  /** It can be found. */
  settle(): void {
    this.home.set(this.path, this);
  }

  /** It is found no more; those who are sending it go on. */
  release(): void {
    if (this.home.get(this.path) === this) this.home.delete(this.path);
    this.plain.release();
    for (const one of this.encoded) one?.release();
  }
}
