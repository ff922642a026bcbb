/** Whatever is kept only as long as there is room. */
export interface Kept {
  /** Somebody has asked for it since the hand last came by. */
  wasUsed: boolean;
  /** Position in the ring; −1 outside of it. */
  slot: number;
}

/**
 * Which of many things goes when there are too many: one that was not asked for lately. A hand goes round, takes back
 * the mark of those that were used since it last came by, and stops at one without (second chance).
 */
export class SecondChance<T extends Kept> {
  private readonly items: T[] = [];
  private hand = 0;

  get size(): number {
    return this.items.length;
  }

  /** Any one of them; nothing when there is none. */
  get any(): T | undefined {
    return this.items.at(-1);
  }

  add(item: T): void {
    item.slot = this.items.length;
    this.items.push(item);
  }

  /** @returns false for what is not in it */
  remove(item: T): boolean {
    const { slot } = item;
    if (slot < 0) return false;
    const last = this.items.pop()!;
    if (last !== item) {
      this.items[slot] = last;
      last.slot = slot;
    }
    item.slot = -1;
    return true;
  }

  /** What is to go next. There must be something. */
  choose(): T {
    for (;;) {
      if (this.hand >= this.items.length) this.hand = 0;
      const item = this.items[this.hand]!;
      if (!item.wasUsed) return item;
      item.wasUsed = false;
      this.hand++;
    }
  }
}
