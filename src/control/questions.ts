import type { WorkerAnswer } from '../proxy/index.js';

/** A worker looks at its messages once a turn; one that takes longer than this is stuck. */
const ANSWER_TIMEOUT_MS = 2000;

/** A worker that does not answer, or cannot any more. */
export class NoAnswer extends Error {}

interface Waiting {
  readonly resolve: (answer: WorkerAnswer) => void;
  readonly reject: (error: NoAnswer) => void;
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
   * @throws NoAnswer when the time is up or the worker is gone
   */
  ask(send: (id: number) => void): Promise<WorkerAnswer> {
    const id = ++this.lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new NoAnswer(`${this.who} did not answer within ${this.timeoutMs} ms`));
      }, this.timeoutMs);
      this.waiting.set(id, { resolve, reject, timer });
      send(id);
    });
  }

  /** An answer that nobody waits for any more is dropped. */
  answer(answer: WorkerAnswer): void {
    this.take(answer.id)?.resolve(answer);
  }

  /** Nobody is there to answer. */
  abandon(): void {
    for (const id of [...this.waiting.keys()]) {
      this.take(id)!.reject(new NoAnswer(`${this.who} is gone`));
    }
  }

  private take(id: number): Waiting | undefined {
    const found = this.waiting.get(id);
    if (found !== undefined) clearTimeout(found.timer);
    this.waiting.delete(id);
    return found;
  }
}
