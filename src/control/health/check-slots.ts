/** Somebody who wants to make a check. */
export interface Checker {
  /** The endpoint's address: two checkers with the same key are never in at once. */
  readonly key: string;
  /** From here until it leaves, the checker has a slot. */
  admitted(): void;
}

/** So many checks are under way at a time, whoever makes them; the others wait in line. */
export class CheckSlots {
  private readonly inside = new Map<string, Checker>();
  /** In the order they came. No longer than there are checkers: nobody stands in it twice. */
  private readonly waiting = new Set<Checker>();

  /** @param checksMax from 1 */
  constructor(private checksMax: number) {}

  /** Lets the checker in, at once or later. */
  enter(checker: Checker): void {
    this.waiting.add(checker);
    this.admit();
  }

  /** The checker is done, or does not want to wait any longer; nothing happens to one who is not here. */
  leave(checker: Checker): void {
    this.waiting.delete(checker);
    if (this.inside.get(checker.key) !== checker) return;
    this.inside.delete(checker.key);
    this.admit();
  }

  /** Nobody gets in any more. */
  close(): void {
    this.checksMax = 0;
    this.waiting.clear();
  }

  private admit(): void {
    for (const checker of this.waiting) {
      if (this.inside.size >= this.checksMax) return;
      if (this.inside.has(checker.key)) continue;
      this.waiting.delete(checker);
      this.inside.set(checker.key, checker);
      checker.admitted();
    }
  }
}
