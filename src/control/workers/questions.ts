import type { WorkerAnswer } from '../../proxy/index.js';

/** A worker looks at its messages once a turn; one that takes longer than this is stuck. */
const ANSWER_TIMEOUT_MS = 2000;

/** A worker that should answer and does not. */
export class NoAnswer extends Error {}

interface Waiting {
  readonly resolve: (answer: WorkerAnswer | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

/** Questions to one worker that wait for their answers. */
export class Questions {
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;

  /** @param who what the worker is called when it does not answer */
  constructor(
    private readonly who: string,
    private readonly timeoutMs = ANSWER_TIMEOUT_MS,
  ) {}

  /**
   * @param send passes the question on, with the number its answer will have
   * @param timeoutMs for this one, when it may take longer than others
   * @returns the answer, or `undefined` when the worker is gone, and all it had with it
   * @throws NoAnswer when the time is up
   */
  ask(send: (id: number) => void, timeoutMs = this.timeoutMs): Promise<WorkerAnswer | undefined> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new NoAnswer(`${this.who} did not answer within ${timeoutMs} ms`));
      }, timeoutMs);
      this.waiting.set(id, { resolve, timer });
      send(id);
    });
  }

  /** An answer that nobody waits for any more is dropped. */
  answer(answer: WorkerAnswer): void {
    this.take(answer.id)?.resolve(answer);
  }

  /** Nobody is there to answer. */
  abandon(): void {
    for (const id of [...this.waiting.keys()]) this.take(id)!.resolve(undefined);
  }

  private take(id: number): Waiting | undefined {
    const found = this.waiting.get(id);
    if (found !== undefined) clearTimeout(found.timer);
    this.waiting.delete(id);
    return found;
  }
}
