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
