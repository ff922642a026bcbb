const SECOND_MS = 1000;

/** Date as it is this second; made again when the second is over. */
let second = Number.NaN;
let text = '';
let line = Buffer.alloc(0);

/**
 * The value of Date (RFC 9110 §5.6.7, IMF-fixdate): 29 characters, made once a second.
 *
 * @param nowMs wall-clock time, ms since 1970
 */
export function httpDate(nowMs: number): string {
  update(nowMs);
  return text;
}

/** The whole field line, with its CRLF; to be copied before the next call. */
export function dateLine(nowMs: number): Buffer {
  update(nowMs);
  return line;
}

function update(nowMs: number): void {
  const current = Math.floor(nowMs / SECOND_MS);
  if (current === second) return;
  second = current;
  text = new Date(current * SECOND_MS).toUTCString();
  line = Buffer.from(`Date: ${text}\r\n`, 'latin1');
}
