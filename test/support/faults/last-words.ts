/** What a client sends to have its worker die, and how that goes (crashing-worker.ts). */
export const lastWords = {
  /** An exception outside any flow, at the end of the turn. */
  exception: 'fall down dead',
  /** The same, and whatever the worker still tries to end fails with an exception, too. */
  helpless: 'not a finger moves',
  /** At once, in the middle of a flow, past every catch and finally: as out of memory does. */
  sudden: 'vanish',
} as const;
export type Death = keyof typeof lastWords;

/** What a client sends to have its worker sleep for {@link STUCK_MS} in the middle of its loop, and hear nothing meanwhile. */
export const LULLABY = 'sleep, my child';
/** Longer than the control thread waits for an answer. */
export const STUCK_MS = 3_000;

/** Environment variable that has workers die before they are ready, from the next one on. */
export const DIES_AT_START = 'HEADGATE_TEST_DIES_AT_START';
