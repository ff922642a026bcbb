import { RE2JS, RE2JSSyntaxException } from 're2js';
import { expressionSize } from './expression-size.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const REGULAR_EXPRESSION = 'a regular expression (RE2 syntax)';

/** Half a second to compile, here and again on each worker. The limits of RE2 (8 MiB) and Rust's regex (10 MiB) are of that order. */
const SIZE_MAX = 100_000;

/**
 * Checks a regular expression with the engine that the workers match with. Its time is linear in the
 * text, which RegExp's is not; so there are no look-arounds and no back-references.
 */
export function parseRegularExpression(text: string): Parsed<string> {
  if (expressionSize(text) > SIZE_MAX) {
    return refused(
      `with its repetitions written out it is larger than ${SIZE_MAX}, expected ${REGULAR_EXPRESSION}`,
    );
  }
  try {
    RE2JS.compile(text);
    return accepted(text);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const part = error.getPattern() ?? '';
    const at = part === '' ? text.length : text.indexOf(part);
    const place = at > 0 ? ` at character ${at + 1}` : '';
    const quoted = part === '' || part === text ? '' : ` ("${part}")`;
    return refused(`${error.getDescription()}${quoted}${place}, expected ${REGULAR_EXPRESSION}`);
  }
}
