import type { ChunkScanner } from '../message/index.js';

/** Takes something out of a chunked body as it comes, by moving together what goes on. */
export interface ChunkSieve {
  /** Bytes that go on of those {@link take} took last; they are in front. */
  readonly passed: number;
  /** Scans bytes[start, end), the next ones of the stream. @returns as {@link ChunkScanner.scan} */
  take(bytes: Buffer, start: number, end: number): number;
}

/** Lets nothing but data pass: for those who know no chunks. */
export class DataSieve implements ChunkSieve {
  passed = 0;

  constructor(private readonly scanner: ChunkScanner) {}

  take(bytes: Buffer, start: number, end: number): number {
    const { scanner } = this;
    let at = start;
    let to = start;
    while (at < end && !scanner.isDone) {
      const taken = scanner.step(bytes, at, end);
      if (taken < 0) return taken;
      if (scanner.wasData) {
        if (to !== at) bytes.copyWithin(to, at, at + taken);
        to += taken;
      }
      at += taken;
    }
    this.passed = to - start;
    return at - start;
  }
}
