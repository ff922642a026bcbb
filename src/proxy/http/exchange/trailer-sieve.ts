import type { NativeMemory } from '../../../splice/index.js';
import type { HttpBuffers } from '../http-buffers.js';
import { type ChunkScanner, TrailerLine, type TrailerNames } from '../message/index.js';
import type { BodyRelay } from './body-relay.js';
import type { ChunkSieve } from './chunk-sieve.js';

/**
 * Lets everything pass but trailer fields of some names, whatever the pieces they come in.
 *
 * What passes moves together in the buffer it came in. Of a name that is not whole nobody can say whether it passes: where
 * what was read ends in one, it is put aside, and so is all that passes behind it, a few kilobytes up to the end of the body.
 *
 * ```
 *   5␍␊hello␍␊0␍␊X-Sum: 1␍␊X-Sec │ ret: 2␍␊X-Late: 3␍␊␍␊
 *   └─────── passes ───────┘         └── put aside ──┘
 * ```
 */
export class TrailerSieve implements ChunkSieve {
  passed = 0;
  private readonly line = new TrailerLine();
  /** Nothing as a rule. */
  private aside: NativeMemory | undefined;
  /** Where the next byte that passes belongs, and where its line begins: in `aside`, or in the buffer at hand. */
  private to = 0;
  private lineTo = 0;

  constructor(
    private readonly scanner: ChunkScanner,
    private readonly buffers: HttpBuffers,
  ) {}

  /** Begins with another body, as its scanner does. */
  begin(names: TrailerNames): void {
    this.release();
    this.line.names = names;
    this.line.isNamed = false;
  }

  take(bytes: Buffer, start: number, end: number): number {
    const { scanner, line } = this;
    const chunkBytes = scanner.scanChunks(bytes, start, end);
    if (chunkBytes < 0) return chunkBytes;
    const at = start + chunkBytes;
    this.passed = chunkBytes;
    if (at === end) return chunkBytes;
    const { aside } = this;
    if (aside === undefined) {
      this.to = at;
      this.lineTo = at;
    }
    const taken = this.sift(bytes, at, end, aside?.bytes ?? bytes);
    if (taken < 0) return taken;
    if (aside === undefined) {
      this.passed = (line.isUndecided ? this.lineTo : this.to) - start;
      if (line.isUndecided) this.putAside(bytes);
    }
    return chunkBytes + taken;
  }

  /** Once the body has ended, what was put aside goes on. */
  handTo(relay: Pick<BodyRelay, 'hold' | 'tap'>): void {
    const { aside, to } = this;
    if (aside === undefined || !this.scanner.isDone) return;
    this.aside = undefined;
    relay.hold(aside, aside.start, to, true);
    relay.tap?.copied(aside.at(aside.start), to - aside.start);
  }

  /** Gives back what is put aside. */
  release(): void {
    if (this.aside !== undefined) this.buffers.give(this.aside);
    this.aside = undefined;
  }

  /** @returns bytes taken, or a negative rejection */
  private sift(bytes: Buffer, start: number, end: number, out: Buffer): number {
    const { scanner, line } = this;
    let at = start;
    for (; at < end && !scanner.isDone; at++) {
      const byte = bytes[at]!;
      if (scanner.isAtLine) {
        this.lineTo = this.to;
        line.begin(byte);
      }
      const fault = scanner.scan(bytes, at, at + 1);
      if (fault < 0) return fault;
      line.take(byte);
      out[this.to++] = byte;
      if (line.isNamed) this.to = this.lineTo;
    }
    return at - start;
  }

  /** The scanner takes no more trailers than a block has room for. */
  private putAside(bytes: Buffer): void {
    const { lineTo, to } = this;
    const aside = this.buffers.takeBlock();
    bytes.copy(aside.bytes, aside.start, lineTo, to);
    this.aside = aside;
    this.to = aside.start + to - lineTo;
    this.lineTo = aside.start;
  }
}
