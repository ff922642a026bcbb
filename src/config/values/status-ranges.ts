import { accepted, type Parsed, refused } from './parsed.js';

/** HTTP status codes; both ends belong to it. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** What a message calls these values. */
export const STATUS_RANGES =
  'status codes from 100 to 599, such as 200, "200-399" or "200, 204-206"';

/** Reads `200`, `200-399`, or several of them with commas between. */
export function parseStatusRanges(text: string): Parsed<StatusRange[]> {
  const ranges: StatusRange[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = /^ *(\d{3})(?:-(\d{3}))? *$/.exec(part) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!(from >= 100 && from <= to && to <= 599)) {
      return refused(`"${part.trim()}" is not a range, expected ${STATUS_RANGES}`);
    }
    ranges.push({ from, to });
  }
  return accepted(ranges);
}
