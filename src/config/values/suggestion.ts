import { distance } from 'fastest-levenshtein';

/** The known word that was probably meant, or null when none is near. Case and `-` for `_` count for nothing. */
export function closestWord(word: string, known: readonly string[]): string | null {
  const plain = (text: string) => text.toLowerCase().replace(/[-_ ]/g, '');
  // A longer word may be misspelt more often, but not so much that anything resembles it.
  const distanceMax = word.length < 4 ? 1 : word.length < 9 ? 2 : 3;
  let nearest = distanceMax + 1;
  let found: string | null = null;
  for (const candidate of known) {
    const away = distance(plain(word), plain(candidate));
    if (away < nearest && away < plain(candidate).length) {
      nearest = away;
      found = candidate;
    }
  }
  return found;
}

/** What was expected instead of the word: the one that was probably meant, else all of them. */
export function expectedWord(word: string, known: readonly string[]): string {
  const meant = closestWord(word, known);
  return meant === null ? `expected ${oneOf(known)}` : `did you mean "${meant}"?`;
}

const WORDS_MAX = 20;

/** `a, b or c` */
export function oneOf(words: readonly string[]): string {
  return enumerate(words, 'or');
}

/** `a, b and c` */
export function allOf(words: readonly string[]): string {
  return enumerate(words, 'and');
}

function enumerate(words: readonly string[], conjunction: string): string {
  if (words.length > WORDS_MAX) return `${words.slice(0, WORDS_MAX).join(', ')}, …`;
  const first = words.slice(0, -1).join(', ');
  return first === '' ? (words[0] ?? 'none') : `${first} ${conjunction} ${words.at(-1)}`;
}
