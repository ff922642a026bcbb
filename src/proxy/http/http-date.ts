const SECOND_MS = 1000;

let second = Number.NaN;
let text = '';

/**
 * The value of Date (RFC 9110 §5.6.7, IMF-fixdate): 29 characters, made once a second.
 *
 * @param nowMs wall-clock time, ms since 1970
 */
export function httpDate(nowMs: number): string {
  const current = Math.floor(nowMs / SECOND_MS);
  if (current !== second) {
    second = current;
    text = new Date(current * SECOND_MS).toUTCString();
  }
  return text;
}
