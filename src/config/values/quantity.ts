import { accepted, type Parsed, refused } from './parsed.js';

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const SIZE_UNITS = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** What a message calls these values; the bounds are appended to it. */
export const DURATION = 'a duration (ms, s, m or h)';
export const SIZE = 'a size (bytes, KiB, MiB or GiB)';

/** Reads `500ms`, `5s`, `2m` or `1h`: whole numbers only, the unit always said. The value is in milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  return /^\d+$/.test(text)
    ? refused(`no unit, expected ${DURATION}, such as ${text}s`)
    : parseQuantity(text, DURATION_UNITS, DURATION);
}

/** Reads a whole number of bytes, or `64KiB`, `1MiB`, `1GiB`. The value is in bytes. */
export function parseSize(text: string): Parsed<number> {
  return /^\d+$/.test(text)
    ? parseQuantity(`${text}B`, { B: 1 }, SIZE)
    : parseQuantity(text, SIZE_UNITS, SIZE);
}

function parseQuantity(text: string, units: Record<string, number>, noun: string): Parsed<number> {
  const [, digits, unit] = /^(\d+) ?([a-zµ]+)$/i.exec(text) ?? [];
  if (digits === undefined || unit === undefined) {
    return refused(`not a whole number with a unit, expected ${noun}`);
  }
  if (!Object.hasOwn(units, unit)) return refused(`unknown unit "${unit}", expected ${noun}`);
  if (text.includes(' ')) {
    return refused(`a space before the unit, expected ${digits}${unit}`);
  }
  const value = Number(digits) * units[unit]!;
  return Number.isSafeInteger(value) ? accepted(value) : refused(`too large, expected ${noun}`);
}
