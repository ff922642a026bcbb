/** One entry of a list of entity tags (RFC 9110 §8.8.3), and the comma behind it. */
const ENTRY = /[ \t]*(?:(W\/)?("[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/y;

const WEAK = 'W/';

/** How tags are compared (RFC 9110 §8.8.3.2): in the strong comparison a weak tag equals none. */
export type TagComparison = 'strong' | 'weak';

/**
 * Whether a list of tags, or `*`, has the tag of something that exists.
 *
 * @param list value of If-Match or If-None-Match
 * @param tag of the representation; empty where it has none
 * @returns also false for what is no list from the first fault on
 */
export function listHasTag(list: string, tag: string, comparison: TagComparison): boolean {
  if (list.trim() === '*') return true;
  const isWeak = tag.startsWith(WEAK);
  if (tag === '' || (isWeak && comparison === 'strong')) return false;
  const opaque = isWeak ? tag.slice(WEAK.length) : tag;
  ENTRY.lastIndex = 0;
  while (ENTRY.lastIndex < list.length) {
    const entry = ENTRY.exec(list);
    if (entry === null) return false;
    if (entry[2] === opaque && (comparison === 'weak' || entry[1] === undefined)) return true;
  }
  return false;
}

/** Whether a value begins as a tag does and not as a date. */
export function isTag(value: string): boolean {
  return value.startsWith('"') || value.startsWith(`${WEAK}"`);
}
