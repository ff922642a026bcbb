import type { NativeMemory } from '../memory.js';

/** Who is about to read, and takes what was read for it. */
export interface ReaderAhead {
  /** @param buffer that it gave for it. @param result of recv(2) */
  hasReadAhead(buffer: NativeMemory, result: number): void;
}

/** Reads of a turn that are made together, before the events that announced the bytes are served. */
export interface ReadsAhead {
  /**
   * Asks for a recv(2), once at most for each descriptor.
   *
   * @param buffer the reader's own until the read has been made
   * @param address where in it to read to
   */
  readAhead(
    fd: number,
    buffer: NativeMemory,
    address: number,
    length: number,
    reader: ReaderAhead,
  ): void;
}
