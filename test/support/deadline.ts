// Waiting with an end: every wait of the suites has its own deadline and says what it waited for.

/** What a failed wait knows about its surroundings, printed with it (a child's stderr, say). */
export type Context = () => string;

export class DeadlineExceeded extends Error {
  constructor(what: string, timeoutMs: number, context?: Context) {
    const surroundings = context?.() ?? '';
    super(`${what}: not within ${timeoutMs} ms${surroundings === '' ? '' : `\n${surroundings}`}`);
    this.name = 'DeadlineExceeded';
  }
}

/** Resolves after `durationMs`. */
export function sleep(durationMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, durationMs));
}

/**
 * The value of `promise`, if it settles within `timeoutMs`.
 * @throws DeadlineExceeded naming `what`; the promise's own rejection otherwise.
 */
export async function within<T>(
  timeoutMs: number,
  what: string,
  promise: Promise<T>,
  context?: Context,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(what, timeoutMs, context)), timeoutMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Asks `predicate` again, a few milliseconds after each answer, until it is something true, and returns that.
 * @throws DeadlineExceeded naming `what` after `timeoutMs`.
 */
export async function until<T>(
  timeoutMs: number,
  what: string,
  predicate: () => T | Promise<T>,
  context?: Context,
): Promise<NonNullable<T>> {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    const answer = await predicate();
    if (answer) return answer;
    if (performance.now() > endMs) throw new DeadlineExceeded(what, timeoutMs, context);
    await sleep(10);
  }
}
