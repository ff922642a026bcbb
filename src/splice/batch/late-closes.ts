/** Descriptors that are closed together, before the turn is over. */
export interface LateCloses {
  /**
   * Takes over a descriptor that nobody uses any more. Until it is closed its number is nobody else's.
   * @returns false where there is no such moment in this turn, or no room: whoever has it closes it
   */
  closeLate(fd: number): boolean;
}
