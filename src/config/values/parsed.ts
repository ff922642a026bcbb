/**
 * What a parser makes of the text of one value. Bad text is expected, so it is a result and not an
 * exception. `reason` ends the sentence `KEY is "TEXT": …` and says what is wrong and what was expected.
 */
export type Parsed<T> = { ok: true; value: T } | { ok: false; reason: string };

export function accepted<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

export function refused(reason: string): Parsed<never> {
  return { ok: false, reason };
}

/** The value of what validation has found to be well. @throws Error when it is not */
export function valid<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(`a value passed validation and is not valid: ${parsed.reason}`);
  return parsed.value;
}
