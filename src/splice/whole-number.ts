import { inspect } from 'node:util';

/**
 * Refuses a number that the kernel would take for another one: on its way into a register NaN becomes 0, 1.5 becomes 1, and
 * what is above 2⁶⁴ loses its upper bits.
 *
 * @param name of the argument, for the message
 * @throws RangeError
 */
export function requireWhole(
  name: string,
  value: number,
  least = 0,
  most = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return;
  throw new RangeError(
    `${name} is ${inspect(value)}, expected a whole number from ${least} to ${most}`,
  );
}

/**
 * The same for the length of a call of every event, by two comparisons. Below 0 it is mostly the outcome of another call,
 * which the kernel would take for all the memory there is.
 *
 * @throws RangeError
 */
export function requireLength(length: number): void {
  if (!(length >= 0 && length <= Number.MAX_SAFE_INTEGER)) requireWhole('length', length);
}
