/** Who has a write among those of a turn. */
export interface LateWriter {
  /** It has been made. @param result of send(2): bytes, or a negative error number */
  onWritten(result: number): void;
  /** {@link onWritten} has thrown. */
  onException(error: unknown): void;
}

/**
 * Writes that can wait until all flows of a turn have been served: they are made together then, which is one
 * system call for many.
 */
export interface LateWrites {
  /** There will be such a moment in this turn, and room. */
  readonly isOpen: boolean;
  /**
   * Asks for a write to a socket; the bytes and the descriptor must stay until it is made.
   * @returns a ticket, ≥ 0, for {@link withdraw}
   */
  add(fd: number, address: number, length: number, writer: LateWriter): number;
  /**
   * It is not to be made any more, and its writer will not be told.
   * @returns the result where it has been made, and the writer was about to be told
   */
  withdraw(ticket: number): number | undefined;
}
