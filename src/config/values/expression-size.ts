/** Escapes, each for one character, and texts that mean what they say. */
const ESCAPE = /\\(?:Q(.*?)(?:\\E|$)|[pPx]\{\^?\w*\}|.)/gs;
const CLASS = /\[\^?\]?(?:\[:\^?\w+:\]|[^\]])*\]/g;
/** The beginning of a group, or flags; how often; anything else. */
const TOKEN = /\((?:\?[\w<-]{0,60}[:>)])?|\{(\d+)(?:,(\d*))?\}|./gs;
/** More is an error of the syntax, which the engine names. */
const REPETITIONS_MAX = 1000;

/**
 * About as many instructions as the engine makes of an expression: counted repetitions are written out, `x{1000}` is a
 * thousand. Linear in the text, and anything but an error where the syntax is wrong.
 */
export function expressionSize(text: string): number {
  const outer: number[] = [];
  let size = 0;
  /** Of what a repetition repeats. */
  let last = 0;
  for (const [token, least, most] of withoutSets(text).matchAll(TOKEN)) {
    if (least !== undefined) {
      const times = Math.max(Number(least), Number(most ?? 0), 1);
      if (times > REPETITIONS_MAX) continue;
      size += last * (times - 1);
      last *= times;
    } else if (token === ')') {
      last = size + 2;
      size = (outer.pop() ?? 0) + last;
    } else if (!token.startsWith('(')) {
      size++;
      last = 1;
    } else if (!token.endsWith(')')) {
      outer.push(size);
      size = 0;
    }
  }
  return size + outer.reduce((sum, one) => sum + one, 0);
}

/** A letter for each escape and class. */
function withoutSets(text: string): string {
  const plain = text.replace(ESCAPE, (_, quoted: string | undefined) =>
    'x'.repeat(quoted === undefined ? 1 : quoted.length),
  );
  // Without an end, none is begun: to look for it again and again would take long.
  const end = plain.lastIndexOf(']') + 1;
  return plain.slice(0, end).replace(CLASS, 'x') + plain.slice(end);
}
