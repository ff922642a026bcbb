import { accepted, type Parsed, refused } from '../values/index.js';

/** What is looked for in a file of PEM (RFC 7468). */
export interface PemKind {
  /** What messages call one. */
  readonly noun: string;
  readonly block: RegExp;
  /** The first line of a block. */
  readonly begin: RegExp;
}

/** @param label as in `-----BEGIN label-----`, a part of a regular expression */
export function pemKind(noun: string, label: string): PemKind {
  const begin = `-----BEGIN ${label}-----`;
  return {
    noun,
    block: new RegExp(`${begin}[^-]+-----END [A-Z0-9 ]+-----`, 'g'),
    begin: new RegExp(begin, 'g'),
  };
}

/**
 * Finds the blocks of a kind, in their order, at least one.
 *
 * One that has begun and has no end is refused: somebody still writes the file, or a disk was full. The others may be well
 * by themselves, as a chain or as authorities, and are not what was meant.
 */
export function findPemBlocks(text: string, { noun, block, begin }: PemKind): Parsed<string[]> {
  const blocks = text.match(block) ?? [];
  const begun = text.match(begin)?.length ?? 0;
  if (begun === 0) return refused(`there is no ${noun} in it`);
  if (begun > blocks.length) {
    return refused(`a ${noun} of the ${begun} in it has no end: the file is cut short or damaged`);
  }
  return accepted(blocks);
}
