/**
 * Checks a change of state.
 *
 * @param successorBits of each state, a bit for each that may follow
 * @param what whose state it is, for the error
 * @returns `to`
 * @throws Error when `to` must not follow: a bug
 */
export function transition<State extends number>(
  successorBits: readonly number[],
  from: State,
  to: State,
  what: string,
): State {
  if ((successorBits[from]! & (1 << to)) !== 0) return to;
  throw new Error(`${what}: state ${from} is not followed by ${to}`);
}
