/** A part of a representation: bytes [start, end), at least one. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More are not looked at: the request gets everything. */
const SPECS_MAX = 100;
/** So many parts are sent at most, after those that touch were made one. */
const PARTS_MAX = 32;
/** Two parts with a smaller gap are sent as one: the head of a part costs as much. */
const GAP_BYTES = 80;

const SET = /^bytes=(.*)$/is;
const SPEC = /^(?:(\d+)-(\d*)|-(\d+))$/;
/** Of any length but none. */
const SUFFIX = /^-0*[1-9]/;

/**
 * What of a representation a Range asks for (RFC 9110 §14.1.2), with a limit to what it may cost: a hundred
 * overlapping ranges of one file would otherwise be a hundred times the file (CVE-2011-3192).
 *
 * @param size bytes of the representation
 * @returns the parts: in the order they were asked for, or ascending where some were made one; `whole` where the
 *   field is to be ignored, because it is no range of bytes, asks for too many, or for everything;
 *   `unsatisfiable` where nothing of it is there
 */
export function selectRanges(
  value: string,
  size: number,
): readonly ByteRange[] | 'whole' | 'unsatisfiable' {
  const [, set] = SET.exec(value) ?? [];
  if (set === undefined) return 'whole';
  const specs = set
    .split(',', SPECS_MAX + 1)
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  if (specs.length === 0 || specs.length > SPECS_MAX) return 'whole';
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = resolve(spec, size);
    if (range === undefined) return 'whole';
    if (range.end > range.start) ranges.push(range);
  }
  if (ranges.length === 0) {
    // The end of what is empty is there, but no Content-Range can say so: that of a log before its first line.
    return size === 0 && specs.some((spec) => SUFFIX.test(spec)) ? 'whole' : 'unsatisfiable';
  }
  const parts = coalesce(ranges);
  if (parts.length > PARTS_MAX) return 'whole';
  const asked = parts.reduce((sum, { start, end }) => sum + end - start, 0);
  // With one part the client is told that it got a part; with several it gains nothing by their heads.
  return asked >= size && parts.length > 1 ? 'whole' : parts;
}

/** @returns an empty range for one that is not there, nothing for what is none */
function resolve(spec: string, size: number): ByteRange | undefined {
  const [, first, last, suffix] = SPEC.exec(spec) ?? [];
  if (suffix !== undefined) return { start: Math.max(0, size - Number(suffix)), end: size };
  if (first === undefined) return undefined;
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  const end = last === '' ? size : Math.min(size, Number(last) + 1);
  return { start: Math.min(start, size), end };
}

function coalesce(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const ascending = ranges.toSorted((one, other) => one.start - other.start);
  const parts: ByteRange[] = [];
  for (const range of ascending) {
    const last = parts.at(-1);
    if (last === undefined || range.start > last.end + GAP_BYTES) parts.push(range);
    else parts[parts.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
  }
  return parts.length === ranges.length ? ranges : parts;
}
