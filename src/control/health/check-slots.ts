/** Somebody who wants to make a check. */
export interface Checker {
  /** The endpoint's address: two checkers with the same key are never in at once. */
  readonly key: string;
  /** The endpoint is known to be down: its check may well take as long as checks may. Stays as it is from entering to leaving the line. */
  readonly isDown: boolean;
  /** From here until it leaves, the checker has a slot. */
  admitted(): void;
}

/** Those who wait, in the order they came, each with its number in that order. */
type Line = Map<Checker, number>;

/**
 * So many checks are under way at a time, whoever makes them; the others wait in line. Endpoints that are down have half
 * of the slots at most, so that any number of silent ones delays nobody's check but their own.
 */
export class CheckSlots {
  private readonly inside = new Map<string, Checker>();
  /** The keys of those inside that came in as down. */
  private readonly downInside = new Set<string>();
  /** No longer than there are checkers: nobody stands in a line twice. */
  private readonly waiting: Line = new Map();
  private readonly waitingDown: Line = new Map();
  private arrivals = 0;

  /** @param checksMax from 1 */
  constructor(private checksMax: number) {}

  /** Lets the checker in, at once or later. */
  enter(checker: Checker): void {
    const line = checker.isDown ? this.waitingDown : this.waiting;
    if (!line.has(checker)) line.set(checker, this.arrivals++);
    this.admit();
  }

  /** The checker is done, or does not want to wait any longer; nothing happens to one who is not here. */
  leave(checker: Checker): void {
    this.waiting.delete(checker);
    this.waitingDown.delete(checker);
    if (this.inside.get(checker.key) !== checker) return;
    this.inside.delete(checker.key);
    this.downInside.delete(checker.key);
    this.admit();
  }

  /** Nobody gets in any more. */
  close(): void {
    this.checksMax = 0;
    this.waiting.clear();
    this.waitingDown.clear();
  }

  private admit(): void {
    while (this.inside.size < this.checksMax) {
      const checker = this.next();
      if (checker === undefined) return;
      const isDown = this.waitingDown.delete(checker);
      if (isDown) this.downInside.add(checker.key);
      else this.waiting.delete(checker);
      this.inside.set(checker.key, checker);
      checker.admitted();
    }
  }

  /** Whoever came first of those who may. */
  private next(): Checker | undefined {
    const one = this.first(this.waiting);
    if (this.downInside.size >= Math.ceil(this.checksMax / 2)) return one;
    const down = this.first(this.waitingDown);
    if (one === undefined || down === undefined) return one ?? down;
    return this.waiting.get(one)! < this.waitingDown.get(down)! ? one : down;
  }

  private first(line: Line): Checker | undefined {
    for (const checker of line.keys()) if (!this.inside.has(checker.key)) return checker;
    return undefined;
  }
}
